/* Arithmetic on eight numbers at once, in vectors as wide as the processor has. Left to itself the
 * compiler unrolls loops over eight numbers, and no vectors are left.
 */
#ifndef LEVINV_LANES_H
#define LEVINV_LANES_H

#include <stddef.h>

#if defined(__GNUC__) && !defined(LEVINV_PORTABLE)
#if defined(__AVX512F__)
#define LANES_VECTOR 8
#elif defined(__AVX__)
#define LANES_VECTOR 4
#else
#define LANES_VECTOR 2
#endif
typedef double lanes_vector
    __attribute__((vector_size(8 * LANES_VECTOR), aligned(8), may_alias));
#else
#define LANES_VECTOR 1
typedef double lanes_vector;
#endif

#define OF(a) (*(const lanes_vector *)((a) + l))
#define LANES_DO(out, value)                   \
    do                                         \
        for (int l = 0; l < 8; l += LANES_VECTOR) \
            *(lanes_vector *)((out) + l) = (value); \
    while (0)
#define LANES_NUMBER(value) ((value) - (lanes_vector){0.0})

static inline void lanes_put(double value, double *out)
{
    LANES_DO(out, LANES_NUMBER(value));
}

static inline void lanes_scale(double factor, const double *a, double *out)
{
    LANES_DO(out, factor * OF(a));
}

static inline void lanes_multiply(const double *a, const double *b, double *out)
{
    LANES_DO(out, OF(a) * OF(b));
}

static inline void lanes_invert(const double *a, double *out)
{
    LANES_DO(out, 1.0 / OF(a));
}

static inline void lanes_add(const double *a, double *out)
{
    LANES_DO(out, OF(out) + OF(a));
}

static inline void lanes_add_scaled(double factor, const double *a, double *out)
{
    LANES_DO(out, OF(out) + factor * OF(a));
}

static inline void lanes_add_product(const double *a, const double *b, double *out)
{
    LANES_DO(out, OF(out) + OF(a) * OF(b));
}

static inline void lanes_subtract_product(const double *a, const double *b, double *out)
{
    LANES_DO(out, OF(out) - OF(a) * OF(b));
}

/* out <- start + a combination of k vectors */
static inline void lanes_combine(ptrdiff_t k, const double *coefficients, const double *a,
                                 double start, double *out)
{
    for (int l = 0; l < 8; l += LANES_VECTOR) {
        lanes_vector total = LANES_NUMBER(start);
        for (ptrdiff_t i = 0; i < k; i++)
            total += coefficients[i] * OF(a + 8 * i);
        *(lanes_vector *)(out + l) = total;
    }
}

/* out <- the sum of a b over `count` vectors, `stride` vectors apart */
static inline void lanes_inner(ptrdiff_t count, ptrdiff_t stride, const double *a, const double *b,
                               double *out)
{
    for (int l = 0; l < 8; l += LANES_VECTOR) {
        lanes_vector total = LANES_NUMBER(0.0);
        for (ptrdiff_t i = 0; i < count; i++)
            total += OF(a + 8 * i * stride) * OF(b + 8 * i * stride);
        *(lanes_vector *)(out + l) = total;
    }
}

/* out <- factor (a - value) */
static inline void lanes_difference(double factor, const double *a, double value, double *out)
{
    LANES_DO(out, factor * (OF(a) - value));
}

#undef OF
#undef LANES_DO
#undef LANES_NUMBER
#endif
