/* The functions of tiles.h in portable C, for compilers without vector extensions; -DLEVINV_PORTABLE
 * makes every compiler use them. */

static void gram_portable(const double *u, ptrdiff_t ldu, const double *v, ptrdiff_t ldv,
                          const double *w, ptrdiff_t rows, ptrdiff_t k, ptrdiff_t width, double *c,
                          const double *ahead, ptrdiff_t stride)
{
    (void)ahead, (void)stride;
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t a = 0; a < k; a++)
            for (ptrdiff_t b = 0; b <= a; b++)
                c[a * width + b] += u[i * ldu + a] * ((w ? w[i] : 1.0) * v[i * ldv + b]);
}

static void tn_portable(const double *u, ptrdiff_t p, const double *v, ptrdiff_t q, ptrdiff_t rows,
                        double *c)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t a = 0; a < p; a++)
            for (ptrdiff_t b = 0; b < q; b++)
                c[a * q + b] += u[i * p + a] * v[i * q + b];
}

static void nn_portable(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t depth,
                        const double *t, ptrdiff_t q, int upper, double *c)
{
    (void)upper;
    for (ptrdiff_t i = 0; i < rows; i++) {
        for (ptrdiff_t b = 0; b < q; b++)
            c[i * q + b] = 0.0;
        for (ptrdiff_t l = 0; l < depth; l++)
            for (ptrdiff_t b = 0; b < q; b++)
                c[i * q + b] += u[i * ldu + l] * t[l * q + b];
    }
}

static void quad_portable(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t depth,
                          const double *t, ptrdiff_t width, int square, double *out,
                          const double *ahead, ptrdiff_t stride)
{
    (void)ahead, (void)stride;
    for (ptrdiff_t i = 0; i < rows; i++) {
        out[i] = 0.0;
        for (ptrdiff_t b = 0; b < depth; b++) {
            double product = 0.0;
            for (ptrdiff_t l = 0; l <= b; l++)
                product += u[i * ldu + l] * t[l * width + b];
            out[i] += product * (square ? product : u[i * ldu + b]);
        }
    }
}

static void columns_portable(const double *u, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t k,
                             const double *t, ptrdiff_t width, double *out)
{
    for (ptrdiff_t i = 0; i < rows; i++) {
        out[i] = 0.0;
        for (ptrdiff_t b = 0; b < k; b++) {
            double product = 0.0;
            for (ptrdiff_t l = 0; l <= b; l++)
                product += u[l * lda + i] * t[l * width + b];
            out[i] += product * product;
        }
    }
}

static void scaled_portable(const double *a, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t d,
                            const double *scale, ptrdiff_t width, double *block)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < width; j++)
            block[i * width + j] = j < d ? (scale ? scale[i] : 1.0) * a[i * lda + j] : 0.0;
}

static void turned_portable(const double *a, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t d,
                            const double *scale, ptrdiff_t width, double *block)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < width; j++)
            block[i * width + j] = j < d ? (scale ? scale[i] : 1.0) * a[j * lda + i] : 0.0;
}

static int scales_portable(const double *v, ptrdiff_t n, int weights, double *scale)
{
    double least = fabs(v[0]), most = v[0], lowest = v[0], zero = 0.0;
    for (ptrdiff_t i = 0; i < n; i++) {
        least = fabs(v[i]) < least ? fabs(v[i]) : least;
        most = v[i] > most ? v[i] : most;
        lowest = v[i] < lowest ? v[i] : lowest;
        zero += 0.0 * v[i];
    }
    if (!scalable(least, most, lowest, zero, weights))
        return 0;
    for (ptrdiff_t i = 0; i < n; i++)
        scale[i] = weights ? sqrt(v[i] / most) : least / fabs(v[i]);
    return 1;
}

static int factors_portable(const double *scale, const double *w, ptrdiff_t n, double *out)
{
    int normal = 1;
    for (ptrdiff_t i = 0; i < n; i++) {
        normal &= scale[i] * scale[i] >= DBL_MIN;
        out[i] = scale[i] * scale[i] * (w ? w[i] : 1.0);
    }
    return normal;
}

static int squared_portable(const double *scale, ptrdiff_t n, double *values)
{
    double zero = 0.0;
    for (ptrdiff_t i = 0; i < n; i++) {
        values[i] = scale[i] * (scale[i] * values[i]);
        zero += 0.0 * values[i];
    }
    return zero == 0.0;
}

static void dots_portable(const double *u, ptrdiff_t ldu, const double *v, ptrdiff_t ldv,
                          ptrdiff_t rows, ptrdiff_t k, double *out)
{
    for (ptrdiff_t i = 0; i < rows; i++) {
        out[i] = 0.0;
        for (ptrdiff_t j = 0; j < k; j++)
            out[i] += u[i * ldu + j] * v[i * ldv + j];
    }
}

static void pairs_portable(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t k,
                           ptrdiff_t width, double *products)
{
    for (ptrdiff_t i = 0; i < rows; i++) {
        double *to = products + i * width;
        for (ptrdiff_t a = 0; a < k; a++)
            for (ptrdiff_t b = a; b < k; b++)
                *to++ = u[i * ldu + a] * u[i * ldu + b];
        while (to < products + (i + 1) * width)
            *to++ = 0.0;
    }
}

typedef double Vector_portable;
typedef int Mask_portable;
#define TARGET
#define LANES 1
#define SPLAT(x) (x)
#define LOAD(p) (*(p))
#define STORE(p, v) (*(p) = (v))
#define LANE(v, j) (v)
#include "tiles_forms.h"
