/* The tiles of one version in one width, which the macros ACROSS and SHAPED choose. */

/* c[a][b] += sum over i of u[i][a] v[i][b] */
TARGET static inline void SHAPED(tn_tile)(const double *u, ptrdiff_t ldu, const double *v,
                                          ptrdiff_t ldv, ptrdiff_t rows, double *c, ptrdiff_t ldc)
{
    ROWS(ROW_ZERO)
    for (ptrdiff_t i = 0; i < rows; i++) {
        const double *left = u + i * ldu, *right = v + i * ldv;
        ACROSS(LOAD_ACROSS, 0)
        ROWS(ROW_TN)
    }
    ROWS(ROW_ADD_TO)
}

/* the same for the first half of the tile's rows */
TARGET static inline void SHAPED(tn_half_tile)(const double *u, ptrdiff_t ldu, const double *v,
                                               ptrdiff_t ldv, ptrdiff_t rows, double *c,
                                               ptrdiff_t ldc)
{
    HALF_ROWS(ROW_ZERO)
    for (ptrdiff_t i = 0; i < rows; i++) {
        const double *left = u + i * ldu, *right = v + i * ldv;
        ACROSS(LOAD_ACROSS, 0)
        HALF_ROWS(ROW_TN)
    }
    HALF_ROWS(ROW_ADD_TO)
}

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
