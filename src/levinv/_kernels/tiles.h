/* Small dense products on packed blocks, in registers (see docs/kernels.md).
 *
 * Below a few hundred columns a general matrix product spends more time on calls, on packing and on
 * the redundant half of a symmetric result than on arithmetic. These loops keep a tile of the result
 * in registers and leave that half out.
 *
 * A block is row-major and its width a multiple of TILE. The number of its rows is a multiple of
 * TILE for `nn` and `quad`, of 2 TILE for `columns`. Entries beyond the data are zero.
 *
 *     gram    lower triangle of c (k x k, rows of `width`) += uᵀ diag(w) v; w NULL: uᵀ v
 *     tn      c (p x q) += uᵀ v
 *     nn      c (rows x q) = u t, u of `depth` columns; `upper`: t is zero below its diagonal
 *     forms, sandwich, weigh   see tiles_forms.h
 *     quad    out_i = u_i t u_iᵀ, or |u_i t|² if `square`, for an upper triangular t
 *     columns out_i = |u_i t|² for contiguous columns of u, `lda` apart, which is not packed
 *     scaled  block = diag(scale) a for contiguous rows of d entries, the rest of `width` zero
 *     turned  the same for contiguous columns, `lda` apart
 *     pairs   products (rows x width): u_a u_b for a <= b, the rest of `width` zero
 *     dots    out_i = u_i v_iᵀ for rows of k entries, in any layout
 *     factors out_i = scale_i² w_i (w NULL: 1); returns 0 if a square is not a normal number
 *     squared values_i <- scale_i² values_i; returns 0 if a result is not finite
 *     scales  scale_i = least / |v_i|, or sqrt(v_i / greatest) if `weights`; returns 0, with nothing
 *             written, if a value does not allow it. `scale` may be `v`.
 *
 * `ahead` points to the block that the pass over memory reads next: rows `stride` doubles apart, as
 * many and as long as those of u. It is fetched during the work on u, because tiles go across rows
 * and hardware prefetchers do not predict that. NULL: nothing is fetched.
 *
 * `gram` may write above the diagonal and beyond row k, within tiles; `pairs` up to TILE entries
 * beyond its last row.
 *
 * On x86-64 there are three versions of each function (SSE2, AVX2, AVX-512); the widest that the
 * processor has is called. Measured on an AMD EPYC (Zen 5), d = 20 to 400, in multiply-adds that
 * count both halves of a symmetric result: 90 to 120 per nanosecond with AVX-512, 50 with AVX2, 25 to
 * 35 with OpenBLAS's dgemm, which computes both halves.
 */
#ifndef LEVINV_TILES_H
#define LEVINV_TILES_H

#include <stddef.h>

#define TILE 8

/* Use no version beyond 0, 1 or 2 from now on. For tests. */
void tiles_limit(int version);

/* Choose the allocation that fails, counted from now: 1 the next, 0 none. Returns what was left of
 * the previous count. For tests, which allocate in one thread: the count has no lock. */
long tiles_fail(long which);

/* Memory for `size` doubles, aligned to a cache line, or NULL; `tiles_free` returns it. */
double *tiles_allocate(size_t size);
void tiles_free(double *memory);

/* The functions in the widest version that the processor has and the limit allows. */
typedef struct {
    void (*gram)(const double *u, ptrdiff_t ldu, const double *v, ptrdiff_t ldv, const double *w,
                 ptrdiff_t rows, ptrdiff_t k, ptrdiff_t width, double *c, const double *ahead,
                 ptrdiff_t stride);
    void (*tn)(const double *u, ptrdiff_t p, const double *v, ptrdiff_t q, ptrdiff_t rows,
               double *c);
    void (*nn)(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t depth, const double *t,
               ptrdiff_t q, int upper, double *c);
    void (*forms)(double *c, ptrdiff_t q, ptrdiff_t k, double *work, double *pivots);
    void (*sandwich)(const double *form, double *c, ptrdiff_t q, ptrdiff_t k, double *work);
    int (*weigh)(const double *values, ptrdiff_t n, int slack, double least, double most,
                 double *out);
    void (*quad)(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t depth, const double *t,
                 ptrdiff_t width, int square, double *out, const double *ahead, ptrdiff_t stride);
    void (*columns)(const double *u, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t k, const double *t,
                    ptrdiff_t width, double *out);
    void (*scaled)(const double *a, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t d,
                   const double *scale, ptrdiff_t width, double *block);
    void (*pairs)(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t k, ptrdiff_t width,
                  double *products);
    void (*turned)(const double *a, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t d,
                   const double *scale, ptrdiff_t width, double *block);
    int (*scales)(const double *v, ptrdiff_t n, int weights, double *scale);
    int (*factors)(const double *scale, const double *w, ptrdiff_t n, double *out);
    int (*squared)(const double *scale, ptrdiff_t n, double *values);
    void (*dots)(const double *u, ptrdiff_t ldu, const double *v, ptrdiff_t ldv, ptrdiff_t rows,
                 ptrdiff_t k, double *out);
} Tiles;

const Tiles *tiles(void);

#endif
