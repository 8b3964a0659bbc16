/* One version of the functions of tiles.h, included once for each version. Macros: VERSION is its
 * suffix, TARGET its attribute, LANES the doubles in a vector, DOWN the rows of a tile; WIDE is 1 if
 * tiles may be two groups of TILE columns across.
 *
 * Each accumulator is a variable with a name: compilers keep a copy of an array in memory. */

typedef double OF(Vector) __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
typedef int64_t OF(Mask) __attribute__((vector_size(8 * LANES)));
#define LOAD(p) (*(const OF(Vector) *)(p))
#define STORE(p, v) (*(OF(Vector) *)(p) = (v))

#define CHOOSE(mask, x, y) ((OF(Vector))(((mask) & (OF(Mask))(x)) | (~(mask) & (OF(Mask))(y))))
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define SHUFFLE(x, y, ...) __builtin_shuffle(x, y, (OF(Mask)){__VA_ARGS__})
#endif

#if LANES == 8
#define SPLAT(x) (OF(Vector)){x, x, x, x, x, x, x, x}
#define ACROSS_NARROW(M, r) M(r, 0)
#define ACROSS_WIDE(M, r) M(r, 0) M(r, 1)
#define SUM(v) (((v)[0] + (v)[4]) + ((v)[1] + (v)[5]) + (((v)[2] + (v)[6]) + ((v)[3] + (v)[7])))
#elif LANES == 4
#define SPLAT(x) (OF(Vector)){x, x, x, x}
#define ACROSS_NARROW(M, r) M(r, 0) M(r, 1)
#define SUM(v) (((v)[0] + (v)[2]) + ((v)[1] + (v)[3]))
#else
#define SPLAT(x) (OF(Vector)){x, x}
#define ACROSS_NARROW(M, r) M(r, 0) M(r, 1) M(r, 2) M(r, 3)
#define SUM(v) ((v)[0] + (v)[1])
#endif

#if DOWN == 8
#define ROWS(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7)
#define HALF_ROWS(M) M(0) M(1) M(2) M(3)
#elif DOWN == 4
#define ROWS(M) M(0) M(1) M(2) M(3)
#define HALF_ROWS(M) M(0) M(1)
#else
#define ROWS(M) M(0) M(1)
#define HALF_ROWS(M) M(0)
#endif

#define ZERO(r, b) OF(Vector) sum_##r##_##b = SPLAT(0.0);
#define LOAD_ACROSS(r, b) const OF(Vector) x_##b = LOAD(right + b * LANES);
#define LOAD_WEIGHTED(r, b) const OF(Vector) x_##b = s_w * LOAD(right + b * LANES);
#define MULTIPLY(r, b) sum_##r##_##b += s * x_##b;
#define ADD_TO(r, b) STORE(c + r * ldc + b * LANES, LOAD(c + r * ldc + b * LANES) + sum_##r##_##b);
#define PUT(r, b) STORE(c + r * ldc + b * LANES, sum_##r##_##b);
#define SQUARE(r, b) total[r] += sum_##r##_##b * sum_##r##_##b;
#define TIMES_OWN(r, b) total[r] += sum_##r##_##b * LOAD(own + r * ldu + b * LANES);

/* The sums of s times the row `right` of vectors, s an entry of the left factor */
#define ROW_TN(r) { const double entry = left[r]; const OF(Vector) s = SPLAT(entry); \
                    ACROSS(MULTIPLY, r) }
#define ROW_NN(r) { const double entry = left[r * ldu]; const OF(Vector) s = SPLAT(entry); \
                    ACROSS(MULTIPLY, r) }
#define ROW_ZERO(r) ACROSS(ZERO, r)
#define ROW_ADD_TO(r) ACROSS(ADD_TO, r)
#define ROW_PUT(r) ACROSS(PUT, r)
#define ROW_SQUARE(r) ACROSS(SQUARE, r)
#define ROW_TIMES_OWN(r) ACROSS(TIMES_OWN, r)

#define ACROSS ACROSS_NARROW
#define SHAPED(name) OF(name)
#include "tiles_shape.h"
#undef ACROSS
#undef SHAPED
#if WIDE
#define ACROSS ACROSS_WIDE
#define SHAPED(name) OF(name##_wide)
#include "tiles_shape.h"
#undef ACROSS
#undef SHAPED
#define BY_WIDTH(step, name, ...) \
    do { if ((step) > TILE) OF(name##_wide)(__VA_ARGS__); else OF(name)(__VA_ARGS__); } while (0)
/* Of an odd number of groups the single one comes first, where columns of a triangle are short. */
#define STEP(b, width) ((b) > 0 || (width) / TILE % 2 == 0 ? 2 * TILE : TILE)
#else
#define BY_WIDTH(step, name, ...) OF(name)(__VA_ARGS__)
#define STEP(b, width) TILE
#endif

TARGET static inline void OF(fetch)(const double *a, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t d)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < d; j += TILE)
            __builtin_prefetch(a + i * lda + j);
}

TARGET static void OF(gram)(const double *u, ptrdiff_t ldu, const double *v, ptrdiff_t ldv,
                            const double *w, ptrdiff_t rows, ptrdiff_t k, ptrdiff_t width,
                            double *c, const double *ahead, ptrdiff_t stride)
{
    const ptrdiff_t strips = (k + DOWN - 1) / DOWN;
    ptrdiff_t step;
    for (ptrdiff_t a = 0; a < k; a += DOWN) {
        const ptrdiff_t across = (a + DOWN + TILE - 1) / TILE * TILE;
        if (ahead) {
            const ptrdiff_t from = rows * (a / DOWN) / strips, to = rows * (a / DOWN + 1) / strips;
            OF(fetch)(ahead + from * stride, stride, to - from, k);
        }
        for (ptrdiff_t b = 0; b < across; b += step) {
            step = STEP(b, across);
            double *to = c + a * width + b;
            if (k - a > DOWN / 2 && w)
                BY_WIDTH(step, weighted_tile, u + a, ldu, v + b, ldv, w, rows, to, width);
            else if (k - a > DOWN / 2)
                BY_WIDTH(step, tn_tile, u + a, ldu, v + b, ldv, w, rows, to, width);
            else if (w)
                BY_WIDTH(step, weighted_half_tile, u + a, ldu, v + b, ldv, w, rows, to, width);
            else
                BY_WIDTH(step, tn_half_tile, u + a, ldu, v + b, ldv, w, rows, to, width);
        }
    }
}

TARGET static void OF(tn)(const double *u, ptrdiff_t p, const double *v, ptrdiff_t q,
                          ptrdiff_t rows, double *c)
{
    ptrdiff_t step;
    for (ptrdiff_t b = 0; b < q; b += step) {
        step = STEP(b, q);
        for (ptrdiff_t a = 0; a < p; a += DOWN)
            BY_WIDTH(step, tn_tile, u + a, p, v + b, q, NULL, rows, c + a * q + b, q);
    }
}

TARGET static void OF(nn)(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t depth,
                          const double *t, ptrdiff_t q, int upper, double *c)
{
    ptrdiff_t step, used;
    for (ptrdiff_t b = 0; b < q; b += step) {
        step = STEP(b, q);
        used = upper && b + step < depth ? b + step : depth;
        for (ptrdiff_t i = 0; i < rows; i += DOWN)
            BY_WIDTH(step, nn_tile, u + i * ldu, ldu, used, t + b, q, c + i * q + b, q);
    }
}

/* Rows x become columns. One level for each doubling of the lanes: neighbours change places within
 * pairs of lanes, pairs within fours, fours within eights. */
#define LEVEL(x, r, s, LOW, HIGH) \
    do { \
        const OF(Vector) low = SHUFFLE(x[r], x[s], LOW), high = SHUFFLE(x[r], x[s], HIGH); \
        x[r] = low; \
        x[s] = high; \
    } while (0)

TARGET static inline void OF(turn)(OF(Vector) *x)
{
#if LANES == 8
#define LOW_1 0, 8, 2, 10, 4, 12, 6, 14
#define HIGH_1 1, 9, 3, 11, 5, 13, 7, 15
#define LOW_2 0, 1, 8, 9, 4, 5, 12, 13
#define HIGH_2 2, 3, 10, 11, 6, 7, 14, 15
#define LOW_4 0, 1, 2, 3, 8, 9, 10, 11
#define HIGH_4 4, 5, 6, 7, 12, 13, 14, 15
    LEVEL(x, 0, 1, LOW_1, HIGH_1); LEVEL(x, 2, 3, LOW_1, HIGH_1);
    LEVEL(x, 4, 5, LOW_1, HIGH_1); LEVEL(x, 6, 7, LOW_1, HIGH_1);
    LEVEL(x, 0, 2, LOW_2, HIGH_2); LEVEL(x, 1, 3, LOW_2, HIGH_2);
    LEVEL(x, 4, 6, LOW_2, HIGH_2); LEVEL(x, 5, 7, LOW_2, HIGH_2);
    LEVEL(x, 0, 4, LOW_4, HIGH_4); LEVEL(x, 1, 5, LOW_4, HIGH_4);
    LEVEL(x, 2, 6, LOW_4, HIGH_4); LEVEL(x, 3, 7, LOW_4, HIGH_4);
#undef LOW_4
#undef HIGH_4
#elif LANES == 4
#define LOW_1 0, 4, 2, 6
#define HIGH_1 1, 5, 3, 7
#define LOW_2 0, 1, 4, 5
#define HIGH_2 2, 3, 6, 7
    LEVEL(x, 0, 1, LOW_1, HIGH_1); LEVEL(x, 2, 3, LOW_1, HIGH_1);
    LEVEL(x, 0, 2, LOW_2, HIGH_2); LEVEL(x, 1, 3, LOW_2, HIGH_2);
#else
#define LOW_1 0, 2
#define HIGH_1 1, 3
    LEVEL(x, 0, 1, LOW_1, HIGH_1);
#endif
#undef LOW_1
#undef HIGH_1
#undef LOW_2
#undef HIGH_2
}

TARGET static void OF(quad)(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t depth,
                            const double *t, ptrdiff_t width, int square, double *out,
                            const double *ahead, ptrdiff_t stride)
{
    for (ptrdiff_t i = 0; i < rows; i += DOWN) {
        OF(Vector) total[DOWN];
        ptrdiff_t step, used;
        if (ahead)
            OF(fetch)(ahead + i * stride, stride, DOWN, depth);
        for (int r = 0; r < DOWN; r++)
            total[r] = SPLAT(0.0);
        for (ptrdiff_t b = 0; b < width; b += step) {
            step = STEP(b, width);
            used = b + step < depth ? b + step : depth;
            if (square)
                BY_WIDTH(step, square_tile, u + i * ldu, ldu, used, t + b, width, total);
            else
                BY_WIDTH(step, form_tile, u + i * ldu, ldu, used, t + b, width,
                         u + i * ldu + b, total);
        }
#if DOWN == LANES
        OF(turn)(total);
        STORE(out + i, SUM(total));        /* lane by lane, in the same order */
#else
        for (int r = 0; r < DOWN; r++)
            out[i + r] = SUM(total[r]);
#endif
    }
}

/* Rows lie along the vectors: STRIP of them, against TILE columns of t at a time. */
#define STRIP (1 + WIDE)
TARGET static void OF(columns)(const double *u, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t k,
                               const double *t, ptrdiff_t width, double *out)
{
    for (ptrdiff_t i = 0; i < rows; i += STRIP * LANES) {
        OF(Vector) total[STRIP];
        for (int r = 0; r < STRIP; r++)
            total[r] = SPLAT(0.0);
        for (ptrdiff_t b = 0; b < k; b += TILE) {
            const ptrdiff_t used = b + TILE < k ? b + TILE : k;
            OF(Vector) sums[TILE][STRIP];
            for (int j = 0; j < TILE; j++)
                for (int r = 0; r < STRIP; r++)
                    sums[j][r] = SPLAT(0.0);
            for (ptrdiff_t l = 0; l < used; l++) {
                const double *entries = t + l * width + b;
                OF(Vector) x[STRIP];
                for (int r = 0; r < STRIP; r++)
                    x[r] = LOAD(u + l * lda + i + r * LANES);
                for (int j = 0; j < TILE; j++) {
                    const double entry = entries[j];
                    const OF(Vector) s = SPLAT(entry);
                    for (int r = 0; r < STRIP; r++)
                        sums[j][r] += s * x[r];
                }
            }
            for (int j = 0; j < TILE; j++)
                for (int r = 0; r < STRIP; r++)
                    total[r] += sums[j][r] * sums[j][r];
        }
        for (ptrdiff_t l = 0; l < k; l++)              /* more columns than hardware keeps track of */
            for (int r = 0; r < STRIP; r++)
                __builtin_prefetch(u + l * lda + i + (4 * STRIP + r) * LANES);
        for (int r = 0; r < STRIP; r++)
            STORE(out + i + r * LANES, total[r]);
    }
}
#undef STRIP

TARGET static void OF(scaled)(const double *a, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t d,
                              const double *scale, ptrdiff_t width, double *block)
{
    const ptrdiff_t full = d / LANES * LANES;
    ptrdiff_t inside = rows, first = full;    /* rows whose last vector ends inside of a */
    OF(Mask) rest;
    for (int j = 0; j < LANES; j++)
        rest[j] = full + j < d ? -1 : 0;
    if (full < d) {
        while (inside > 0 && (rows - inside) * lda + d < full + LANES)
            inside--;
        first += LANES;
    }
    for (ptrdiff_t i = 0; i < rows; i++) {
        const double *from = a + i * lda;
        double *to = block + i * width;
        const double factor = scale ? scale[i] : 1.0;
        const OF(Vector) s = SPLAT(factor);
        for (ptrdiff_t j = 0; j < full; j += LANES)
            STORE(to + j, s * LOAD(from + j));
        if (i >= inside)
            for (ptrdiff_t j = full; j < first; j++)
                to[j] = j < d ? factor * from[j] : 0.0;
        else if (full < d)
            STORE(to + full, (OF(Vector))((OF(Mask))(s * LOAD(from + full)) & rest));
        for (ptrdiff_t j = first; j < width; j += LANES)
            STORE(to + j, SPLAT(0.0));
    }
}

TARGET static void OF(turned)(const double *a, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t d,
                              const double *scale, ptrdiff_t width, double *block)
{
    const ptrdiff_t full = rows / LANES * LANES;
    for (ptrdiff_t j = 0; j < width; j += LANES) {
        const double *from = a + j * lda;
        for (ptrdiff_t i = 0; i < full; i += LANES) {
            const OF(Vector) s = scale ? LOAD(scale + i) : SPLAT(1.0);
            OF(Vector) x[LANES];
            if (j + LANES <= d)
                for (int l = 0; l < LANES; l++) {
                    x[l] = s * LOAD(from + l * lda + i);
                    __builtin_prefetch(from + l * lda + i + rows);     /* of the next block */
                }
            else
                for (int l = 0; l < LANES; l++) {
                    x[l] = SPLAT(0.0);
                    if (j + l < d)
                        x[l] = s * LOAD(from + l * lda + i);
                }
            OF(turn)(x);
            for (int l = 0; l < LANES; l++)
                STORE(block + (i + l) * width + j, x[l]);
        }
        for (ptrdiff_t i = full; i < rows; i++)
            for (int l = 0; l < LANES; l++)
                block[i * width + j + l] = j + l < d ? (scale ? scale[i] : 1.0) * from[l * lda + i]
                                                     : 0.0;
    }
}

TARGET static int OF(scales)(const double *v, ptrdiff_t n, int weights, double *scale)
{
    const OF(Mask) no_sign = (OF(Mask))SPLAT(0.0) + INT64_MAX;
    OF(Vector) smallest = SPLAT(HUGE_VAL), greatest = SPLAT(-HUGE_VAL), zeros = SPLAT(0.0);
    OF(Vector) nearest = SPLAT(HUGE_VAL);
    double least = HUGE_VAL, most = -HUGE_VAL, lowest = HUGE_VAL, zero;
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const OF(Vector) x = LOAD(v + i), size = (OF(Vector))((OF(Mask))x & no_sign);
        zeros += SPLAT(0.0) * x;
        nearest = CHOOSE(size < nearest, size, nearest);
        smallest = CHOOSE(x < smallest, x, smallest);
        greatest = CHOOSE(x > greatest, x, greatest);
    }
    zero = SUM(zeros);
    for (int l = 0; l < LANES; l++) {
        least = nearest[l] < least ? nearest[l] : least;
        lowest = smallest[l] < lowest ? smallest[l] : lowest;
        most = greatest[l] > most ? greatest[l] : most;
    }
    for (; i < n; i++) {
        zero += 0.0 * v[i];
        least = fabs(v[i]) < least ? fabs(v[i]) : least;
        lowest = v[i] < lowest ? v[i] : lowest;
        most = v[i] > most ? v[i] : most;
    }
    if (!scalable(least, most, lowest, zero, weights))
        return 0;
    if (weights)
        for (i = 0; i < n; i++)
            scale[i] = sqrt(v[i] / most);
    else
        for (i = 0; i < n; i++)
            scale[i] = least / fabs(v[i]);
    return 1;
}

TARGET static int OF(factors)(const double *scale, const double *w, ptrdiff_t n, double *out)
{
    OF(Mask) odd = (OF(Mask))SPLAT(0.0);
    int normal = 1;
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const OF(Vector) s = LOAD(scale + i), square = s * s;
        odd |= ~(square >= SPLAT(DBL_MIN));
        if (w)
            STORE(out + i, square * LOAD(w + i));
        else
            STORE(out + i, square);
    }
    for (; i < n; i++) {
        const double square = scale[i] * scale[i];
        normal &= square >= DBL_MIN;
        out[i] = w ? square * w[i] : square;
    }
    for (int l = 0; l < LANES; l++)
        normal &= !odd[l];
    return normal;
}

TARGET static int OF(squared)(const double *scale, ptrdiff_t n, double *values)
{
    OF(Vector) zeros = SPLAT(0.0);
    double zero = 0.0;
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const OF(Vector) s = LOAD(scale + i), x = s * (s * LOAD(values + i));
        STORE(values + i, x);
        zeros += SPLAT(0.0) * x;
    }
    for (; i < n; i++) {
        values[i] = scale[i] * (scale[i] * values[i]);
        zero += 0.0 * values[i];
    }
    return SUM(zeros) + zero == 0.0;
}

TARGET static void OF(dots)(const double *u, ptrdiff_t ldu, const double *v, ptrdiff_t ldv,
                            ptrdiff_t rows, ptrdiff_t k, double *out)
{
    for (ptrdiff_t i = 0; i < rows; i++) {
        const double *left = u + i * ldu, *right = v + i * ldv;
        OF(Vector) even = SPLAT(0.0), odd = SPLAT(0.0);
        double rest = 0.0;
        ptrdiff_t j = 0;
        for (; j + 2 * LANES <= k; j += 2 * LANES) {
            even += LOAD(left + j) * LOAD(right + j);
            odd += LOAD(left + j + LANES) * LOAD(right + j + LANES);
        }
        for (; j < k; j++)
            rest += left[j] * right[j];
        even += odd;
        out[i] = SUM(even) + rest;
    }
}

TARGET static void OF(pairs)(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t k,
                             ptrdiff_t width, double *products)
{
    for (ptrdiff_t i = 0; i < rows; i++) {
        const double *row = u + i * ldu;
        double *to = products + i * width, *const end = to + width;
        for (ptrdiff_t a = 0; a < k; a++) {
            const OF(Vector) s = SPLAT(row[a]);
            /* whole vectors: what is too much is overwritten next */
            for (ptrdiff_t b = a; b < k; b += LANES)
                STORE(to + (b - a), s * LOAD(row + b));
            to += k - a;
        }
        for (; to < end; to++)
            *to = 0.0;
    }
}

#define LANE(v, j) (v)[j]
#include "tiles_forms.h"
#undef LANE

/* The other macros read the same in each version. */
#undef VERSION
#undef TARGET
#undef LANES
#undef DOWN
#undef WIDE
#undef SPLAT
#undef ACROSS_NARROW
#undef SUM
#undef ROWS
#undef HALF_ROWS
#undef BY_WIDTH
#undef STEP
#undef LEVEL
#undef CHOOSE
#undef SHUFFLE
