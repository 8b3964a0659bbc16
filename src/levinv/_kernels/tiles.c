#include "tiles.h"

#include <float.h>
#include <math.h>
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

/* Whether every value is a number, and slacks (or weights) have a common scale. */
static int scalable(double least, double most, double lowest, double zero, int weights)
{
    return zero == 0.0 && (weights ? lowest >= 0.0 && most > 0.0 : least > 0.0);
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
#define VERSION portable
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

#define TABLE(suffix) {NAMED(gram, suffix), NAMED(tn, suffix), NAMED(nn, suffix), \
                       NAMED(forms, suffix), NAMED(sandwich, suffix), NAMED(weigh, suffix), \
                       NAMED(quad, suffix), NAMED(columns, suffix), \
                       NAMED(scaled, suffix), NAMED(pairs, suffix), \
                       NAMED(turned, suffix), NAMED(scales, suffix), \
                       NAMED(factors, suffix), NAMED(squared, suffix), NAMED(dots, suffix)}

static const Tiles versions[] = {
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

const Tiles *tiles(void)
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
