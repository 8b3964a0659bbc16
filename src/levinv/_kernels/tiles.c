#include "tiles.h"

#include <stdint.h>
#include <stdlib.h>

#define LINE 64

static long failing = 0;

long tiles_fail(long which)
{
    long left = failing;
    failing = which;
    return left;
}

double *tiles_allocate(size_t size)
{
    char *memory, *aligned;
    if (failing && --failing == 0)
        return NULL;
    memory = malloc(size * sizeof(double) + LINE);
    if (!memory)
        return NULL;
    aligned = memory + LINE - (uintptr_t)memory % LINE;
    aligned[-1] = (char)(aligned - memory);     /* at least 1, at most LINE */
    return (double *)aligned;
}

void tiles_free(double *memory)
{
    char *aligned = (char *)memory;
    if (aligned)
        free(aligned - aligned[-1]);
}

/* Each version: LANES doubles to a vector, tiles of DOWN rows by ACROSS vectors. The accumulators
 * fill the registers, and there are enough of them to hide the latency of the multiply-add. */

#define PASTE(name, suffix) name##_##suffix
#define NAMED(name, suffix) PASTE(name, suffix)
#define OF(name) NAMED(name, VERSION)

#if defined(__GNUC__) && !defined(LEVINV_PORTABLE)
#define VERSION common
#define TARGET
#define LANES 2
#ifdef __aarch64__
#define DOWN 4
#else
#define DOWN 2
#endif
#define WIDE 0
#include "tiles_version.h"
#else
#define common portable
#include "tiles_portable.h"
#endif

#if defined(__GNUC__) && defined(__x86_64__) && !defined(LEVINV_PORTABLE)
#define X86_VERSIONS 1

#define VERSION avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 4
#define DOWN 4
#define WIDE 0
#include "tiles_version.h"

#define VERSION avx512
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,fma")))
#define LANES 8
#define DOWN 8
#define WIDE 1
#include "tiles_version.h"
#endif

typedef struct {
    void (*gram)(const double *, ptrdiff_t, const double *, ptrdiff_t, ptrdiff_t, ptrdiff_t,
                 ptrdiff_t, double *, const double *, ptrdiff_t);
    void (*tn)(const double *, ptrdiff_t, const double *, ptrdiff_t, ptrdiff_t, double *);
    void (*nn)(const double *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t,
               double *);
    void (*quad)(const double *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t, int,
                 double *, const double *, ptrdiff_t);
    void (*scaled)(const double *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t,
                   double *);
    void (*pairs)(const double *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, double *);
} Version;

#define TABLE(suffix) {NAMED(gram, suffix), NAMED(tn, suffix), NAMED(nn, suffix), \
                       NAMED(quad, suffix), NAMED(scaled, suffix), NAMED(pairs, suffix)}

static const Version versions[] = {
    TABLE(common),
#ifdef X86_VERSIONS
    TABLE(avx2),
    TABLE(avx512),
#endif
};

static int limit = 2;

void tiles_limit(int version)
{
    limit = version;
}

static const Version *chosen(void)
{
#ifdef X86_VERSIONS
    /* This costs a few loads: the compiler's runtime library keeps the answers. */
    if (limit >= 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl"))
        return &versions[2];
    if (limit >= 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &versions[1];
#endif
    return &versions[0];
}

void tiles_gram(const double *u, ptrdiff_t ldu, const double *v, ptrdiff_t ldv, ptrdiff_t rows,
                ptrdiff_t k, ptrdiff_t width, double *c, const double *ahead, ptrdiff_t stride)
{
    chosen()->gram(u, ldu, v, ldv, rows, k, width, c, ahead, stride);
}

void tiles_tn(const double *u, ptrdiff_t p, const double *v, ptrdiff_t q, ptrdiff_t rows,
              double *c)
{
    chosen()->tn(u, p, v, q, rows, c);
}

void tiles_nn(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t depth, const double *t,
              ptrdiff_t q, double *c)
{
    chosen()->nn(u, ldu, rows, depth, t, q, c);
}

void tiles_quad(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t depth, const double *t,
                ptrdiff_t width, int square, double *out, const double *ahead,
                ptrdiff_t stride)
{
    chosen()->quad(u, ldu, rows, depth, t, width, square, out, ahead, stride);
}

void tiles_scaled(const double *a, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t d, const double *scale,
                  ptrdiff_t width, double *block)
{
    chosen()->scaled(a, lda, rows, d, scale, width, block);
}

void tiles_pairs(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t k, ptrdiff_t width,
                 double *products)
{
    chosen()->pairs(u, ldu, rows, k, width, products);
}
