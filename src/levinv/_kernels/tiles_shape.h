/* The tiles of one version in one width, which the macros ACROSS and SHAPED choose. */

/* c[a][b] += sum over i of w[i] u[i][a] v[i][b], in all rows of the tile or in the first half of them,
 * without w or with it */
#define PRODUCT_TN(name, SOME_ROWS, FACTORS)                                                        \
TARGET static inline void SHAPED(name)(const double *u, ptrdiff_t ldu, const double *v,             \
                                       ptrdiff_t ldv, const double *w, ptrdiff_t rows, double *c,   \
                                       ptrdiff_t ldc)                                               \
{                                                                                                   \
    SOME_ROWS(ROW_ZERO)                                                                             \
    (void)w;                                                                                        \
    for (ptrdiff_t i = 0; i < rows; i++) {                                                          \
        const double *left = u + i * ldu, *right = v + i * ldv;                                     \
        FACTORS                                                                                     \
        SOME_ROWS(ROW_TN)                                                                           \
    }                                                                                               \
    SOME_ROWS(ROW_ADD_TO)                                                                           \
}
#define PLAIN ACROSS(LOAD_ACROSS, 0)
#define WEIGHTED const double weight = w[i]; const OF(Vector) s_w = SPLAT(weight); \
                 ACROSS(LOAD_WEIGHTED, 0)
PRODUCT_TN(tn_tile, ROWS, PLAIN)
PRODUCT_TN(tn_half_tile, HALF_ROWS, PLAIN)
PRODUCT_TN(weighted_tile, ROWS, WEIGHTED)
PRODUCT_TN(weighted_half_tile, HALF_ROWS, WEIGHTED)
#undef PRODUCT_TN
#undef PLAIN
#undef WEIGHTED

#define PRODUCT_NN                                           \
    ROWS(ROW_ZERO)                                           \
    for (ptrdiff_t l = 0; l < depth; l++) {                  \
        const double *left = u + l, *right = t + l * ldt;    \
        ACROSS(LOAD_ACROSS, 0)                               \
        ROWS(ROW_NN)                                         \
    }

/* c[r][b] = sum over l < depth of u[r][l] t[l][b] */
TARGET static inline void SHAPED(nn_tile)(const double *u, ptrdiff_t ldu, ptrdiff_t depth,
                                          const double *t, ptrdiff_t ldt, double *c,
                                          ptrdiff_t ldc)
{
    PRODUCT_NN
    ROWS(ROW_PUT)
}

/* total[r] += squares of the same products */
TARGET static inline void SHAPED(square_tile)(const double *u, ptrdiff_t ldu, ptrdiff_t depth,
                                              const double *t, ptrdiff_t ldt, OF(Vector) *total)
{
    PRODUCT_NN
    ROWS(ROW_SQUARE)
}

/* total[r] += the same products times the entries of u in the same columns, at `own` */
TARGET static inline void SHAPED(form_tile)(const double *u, ptrdiff_t ldu, ptrdiff_t depth,
                                            const double *t, ptrdiff_t ldt, const double *own,
                                            OF(Vector) *total)
{
    PRODUCT_NN
    ROWS(ROW_TIMES_OWN)
}

#undef PRODUCT_NN
