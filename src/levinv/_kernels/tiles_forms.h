/* Many small symmetric matrices at once, one in each lane of a vector. Included once for each
 * version, whose macros it uses. A packed matrix holds its entries a <= b, row by row; c holds one in
 * each of its q columns, q a multiple of LANES.
 */
#define AT(a, b) ((a) * (2 * k - (a) - 1) / 2 + (b))

/* c <- inverses, the entries a < b doubled: the quadratic forms. With c = RᵀDR, R unit upper
 * triangular, the inverse is V D⁻¹ Vᵀ, V = R⁻¹. pivots (k + 1 rows of q): D, and the sum of the
 * products c_aa (c⁻¹)_aa; all useless unless the pivots are positive. work: a packed matrix of vectors.
 */
TARGET static void OF(forms)(double *c, ptrdiff_t q, ptrdiff_t k, double *work, double *pivots)
{
    for (ptrdiff_t from = 0; from < q; from += LANES) {
        OF(Vector) *const w = (OF(Vector) *)work, total = SPLAT(0.0);
        for (ptrdiff_t i = 0; i < k * (k + 1) / 2; i++)
            w[i] = LOAD(c + i * q + from);
        for (ptrdiff_t l = 0; l < k; l++) {
            OF(Vector) *const row = w + AT(l, 0);
            const OF(Vector) inverse = SPLAT(1.0) / row[l];
            STORE(pivots + l * q + from, row[l]);
            row[l] = inverse;
            for (ptrdiff_t i = l + 1; i < k; i++) {
                const OF(Vector) factor = row[i] * inverse;
                OF(Vector) *const other = w + AT(i, 0);
                for (ptrdiff_t j = i; j < k; j++)
                    other[j] -= factor * row[j];
                row[i] = factor;
            }
        }
        for (ptrdiff_t i = k - 2; i >= 0; i--) {
            OF(Vector) *const row = w + AT(i, 0);
            for (ptrdiff_t j = k - 1; j > i; j--) {
                OF(Vector) sum = row[j];
                for (ptrdiff_t l = i + 1; l < j; l++)
                    sum += row[l] * w[AT(l, j)];
                row[j] = -sum;
            }
        }
        for (ptrdiff_t a = 0; a < k; a++) {
            OF(Vector) *const row = w + AT(a, 0);
            for (ptrdiff_t b = a; b < k; b++) {
                const OF(Vector) *const other = w + AT(b, 0);
                OF(Vector) sum = row[b];
                if (a < b)
                    sum *= other[b];
                for (ptrdiff_t l = b + 1; l < k; l++)
                    sum += row[l] * (other[l] * w[AT(l, l)]);
                if (a == b)
                    total += sum * LOAD(c + AT(a, a) * q + from);
                STORE(c + AT(a, b) * q + from, sum * (a < b ? 2.0 : 1.0));
            }
        }
        STORE(pivots + k * q + from, total);
    }
}

/* c <- K c K for the forms K, the entries a < b doubled. work: 2 k² vectors. */
TARGET static void OF(sandwich)(const double *form, double *c, ptrdiff_t q, ptrdiff_t k,
                                double *work)
{
    OF(Vector) *const whole = (OF(Vector) *)work, *const half = whole + k * k;
    for (ptrdiff_t from = 0; from < q; from += LANES) {
        for (ptrdiff_t a = 0; a < k; a++)
            for (ptrdiff_t b = a; b < k; b++)
                whole[a * k + b] = whole[b * k + a] =
                    LOAD(form + AT(a, b) * q + from) * (a < b ? 0.5 : 1.0);
        for (ptrdiff_t a = 0; a < k; a++)
            for (ptrdiff_t b = 0; b < k; b++) {
                OF(Vector) sum = SPLAT(0.0);
                for (ptrdiff_t l = 0; l < b; l++)
                    sum += whole[a * k + l] * LOAD(c + AT(l, b) * q + from);
                for (ptrdiff_t l = b; l < k; l++)
                    sum += whole[a * k + l] * LOAD(c + AT(b, l) * q + from);
                half[a * k + b] = sum;
            }
        for (ptrdiff_t a = 0; a < k; a++)
            for (ptrdiff_t b = a; b < k; b++) {
                OF(Vector) sum = SPLAT(0.0);
                for (ptrdiff_t l = 0; l < k; l++)
                    sum += half[a * k + l] * whole[b * k + l];
                STORE(c + AT(a, b) * q + from, sum * (a < b ? 2.0 : 1.0));
            }
    }
}

/* out <- the weights 1/values² of slacks, or the values; whether all are between least and most. A
 * value may be 0 if it is a weight.
 */
TARGET static int OF(weigh)(const double *values, ptrdiff_t n, int slack, double least, double most,
                            double *out)
{
    const double exempt = slack ? NAN : 0.0;
    const ptrdiff_t full = n / LANES * LANES;
    OF(Vector) w = SPLAT(0.0);
    OF(Mask) bad = w != w;
    int outside = 0;
    for (ptrdiff_t i = 0; i < full; i += LANES) {
        w = LOAD(values + i);
        if (slack)
            w = SPLAT(1.0) / (w * w);
        bad |= ((w < least) & (w != exempt)) | (w > most) | (w != w);
        STORE(out + i, w);
    }
    for (ptrdiff_t i = full; i < n; i++) {
        const double value = slack ? 1.0 / (values[i] * values[i]) : values[i];
        outside |= (value < least && value != exempt) || !(value <= most);
        out[i] = value;
    }
    for (int j = 0; j < LANES; j++)
        outside |= LANE(bad, j) != 0;
    return !outside;
}

#undef AT
