/* Small dense products on packed blocks, in registers.
 *
 * Below a few hundred columns the calls of a general matrix product, its packing and the half of a
 * symmetric result that nobody needs cost more than the arithmetic. These loops keep a tile of the
 * result in registers and leave that half out.
 *
 * A block is row-major, its width a multiple of TILE, its number of rows too where `nn` or `quad`
 * read it; what is beyond the data is zero.
 *
 *     gram    lower triangle of c (k x k, rows of `width`) += uᵀ v
 *     tn      c (p x q) += uᵀ v
 *     nn      c (rows x q) = u t, u of `depth` columns
 *     quad    out_i = u_i t u_iᵀ, or |u_i t|² if `square`, for an upper triangular t
 *     scaled  block = diag(scale) a for contiguous rows of d entries, the rest of `width` zero
 *     pairs   products (rows x width): u_a u_b for a <= b, the rest of `width` zero
 *
 * `ahead` is what a pass over memory will read next, row by row as far apart as `stride` says, as
 * many rows of as many entries as u has: it is fetched meanwhile, as tiles go across rows, which
 * processors do not foresee. NULL for none.
 *
 * `gram` may write above the diagonal and beyond row k, within tiles; `pairs` up to TILE entries
 * beyond its last row.
 *
 * On x86-64 there are three versions of each (SSE2, AVX2, AVX-512); the last that the processor has
 * is taken. Measured on an AMD EPYC (Zen 5), d = 20 to 400, in multiply-adds that count both halves
 * of a symmetric result: 90 to 120 per nanosecond with AVX-512, 50 with AVX2, where OpenBLAS's
 * dgemm makes 25 to 35.
 */
#ifndef LEVINV_TILES_H
#define LEVINV_TILES_H

#include <stddef.h>

#define TILE 8

/* From now on no version beyond 0, 1 or 2: for tests. */
void tiles_limit(int version);

/* The allocation that is to fail, counted from now: 1 the next, 0 none. Returns what is left of the
 * count before: for tests. */
long tiles_fail(long which);

/* Memory for `size` doubles, aligned to a cache line, or NULL; `tiles_free` returns it. */
double *tiles_allocate(size_t size);
void tiles_free(double *memory);

void tiles_gram(const double *u, ptrdiff_t ldu, const double *v, ptrdiff_t ldv, ptrdiff_t rows,
                ptrdiff_t k, ptrdiff_t width, double *c, const double *ahead, ptrdiff_t stride);
void tiles_tn(const double *u, ptrdiff_t p, const double *v, ptrdiff_t q, ptrdiff_t rows,
              double *c);
void tiles_nn(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t depth, const double *t,
              ptrdiff_t q, double *c);
void tiles_quad(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t depth, const double *t,
                ptrdiff_t width, int square, double *out, const double *ahead,
                ptrdiff_t stride);
void tiles_scaled(const double *a, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t d, const double *scale,
                  ptrdiff_t width, double *block);
void tiles_pairs(const double *u, ptrdiff_t ldu, ptrdiff_t rows, ptrdiff_t k, ptrdiff_t width,
                 double *products);

#endif
