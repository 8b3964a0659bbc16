"""All ±1 vectors in the range of a matrix C (levinv.inverse.stages.sides).

C (n x q), stored column by column, is the identity in q of its rows. A vector e of q signs is
determined by these, and C e is a ±1 vector iff |c_i e| = 1 for every row. The first sign is +: C e
and -C e are one solution.

Rows are used one after another, the one with the fewest columns of unknown sign first. A *partial*
vector has the signs of all columns so far. For a row with k open columns, the sums ±c_i1 ... ±c_ik
are formed in two halves of 2^(k/2) numbers each, sorted by merging. Two pointers find the pairs of
them that, with the known part of the sum, make 1 or -1 (Horowitz and Sahni, 1974). Rows that have
no open column left check the result. So a dense row takes 2^(q/2) steps, and sparse rows, which
many vectors fit, are used as soon as two or three of their signs are known.
"""
from libc.math cimport fabs
from libc.stdint cimport uint64_t

cdef enum:
    MOST_COLUMNS = 63


cdef inline Py_ssize_t room(Py_ssize_t q, Py_ssize_t n, Py_ssize_t most) noexcept nogil:
    """Numbers of 8 bytes that ``sign_vectors`` needs."""
    return 4 * ((<Py_ssize_t> 1) << (q // 2)) + n + most


cdef inline Py_ssize_t sorted_sums(uint64_t columns, Py_ssize_t width, const double* row,
                                   double* sums, uint64_t* bits) noexcept nogil:
    """All sums of ± the entries of a row in these columns, increasing, with the bits of the columns
    of sign -; returns their number. Each column merges the list plus and the list minus its entry,
    the largest first. Sums lie symmetric about 0: the larger half is merged, the other mirrored.
    """
    cdef Py_ssize_t count = 1, plus, minus, place, column = 0
    cdef double entry
    cdef uint64_t negative, positive, merged = 0
    sums[0], bits[0] = 0.0, 0
    while columns:
        if columns & 1:
            entry = fabs(row[column * width])
            negative, positive = (<uint64_t> 1) << column, 0
            merged |= negative
            if row[column * width] < 0.0:
                negative, positive = positive, negative
            plus = minus = count - 1
            for place in range(2 * count - 1, count - 1, -1):
                if sums[plus] + entry >= sums[minus] - entry:
                    sums[place], bits[place] = sums[plus] + entry, bits[plus] | positive
                    plus -= 1
                else:
                    sums[place], bits[place] = sums[minus] - entry, bits[minus] | negative
                    minus -= 1
            for place in range(count):
                sums[place] = -sums[2 * count - 1 - place]
                bits[place] = merged ^ bits[2 * count - 1 - place]
            count *= 2
        columns >>= 1
        column += 1
    return count


cdef inline bint fits(Py_ssize_t n, Py_ssize_t q, Py_ssize_t width, const double* matrix,
                      const double* tolerance, const uint64_t* support, uint64_t state,
                      uint64_t known, uint64_t fresh) noexcept nogil:
    """Whether the rows hold whose columns are all known, and not all were before."""
    cdef double sign[MOST_COLUMNS]
    cdef double total
    cdef Py_ssize_t i, k
    for k in range(q):
        sign[k] = 0.0
        if known >> k & 1:
            sign[k] = -1.0 if state >> k & 1 else 1.0
    for i in range(n):
        if support[i] & fresh and not support[i] & ~known:
            total = 0.0
            for k in range(q):
                total += matrix[k * width + i] * sign[k]
            if not fabs(fabs(total) - 1.0) <= 2.0 * tolerance[i]:
                return False
    return True


cdef inline Py_ssize_t next_row(Py_ssize_t n, const double* tolerance, const uint64_t* support,
                                uint64_t known) noexcept nogil:
    """The row with the fewest open columns, of those that have any, and of these the one of least
    tolerance; -1 if none has.
    """
    cdef Py_ssize_t best = -1, fewest = MOST_COLUMNS, i, count
    cdef uint64_t open
    for i in range(n):
        open, count = support[i] & ~known, 0
        if not open:
            continue
        while open and count <= fewest:
            open &= open - 1
            count += 1
        if count < fewest or count == fewest and (best < 0 or tolerance[i] < tolerance[best]):
            best, fewest = i, count
    return best


cdef inline Py_ssize_t sign_vectors(Py_ssize_t n, Py_ssize_t q, Py_ssize_t width,
                                    const double* matrix, const double* tolerance, bint solved,
                                    Py_ssize_t most, Py_ssize_t trials, double* memory,
                                    uint64_t* found) noexcept nogil:
    """The number of sign vectors e with ``||c_i e| - 1| <= tolerance_i`` in every row, and of some
    up to three times as far away, since entries that sum to less than the tolerance are left out.
    The bits of the columns of sign - go to ``found``, which has room for ``most``.

    -1 if there are more, or more partial vectors, or more than ``trials`` pairs to check: then not
    all were tried. ``memory`` has ``room`` numbers. A row whose tolerance is 1/2 or more says
    nothing and is not used.
    """
    cdef Py_ssize_t half = (<Py_ssize_t> 1) << (q // 2), i, k, row, left, right, a, b, c
    cdef Py_ssize_t states = 1, count
    cdef double* left_sum = memory
    cdef double* right_sum = memory + half
    cdef uint64_t* left_bits = <uint64_t*> memory + 2 * half
    cdef uint64_t* right_bits = <uint64_t*> memory + 3 * half
    cdef uint64_t* support = <uint64_t*> memory + 4 * half
    cdef uint64_t* state = <uint64_t*> memory + 4 * half + n
    cdef uint64_t known = 1, fresh, part, both
    cdef double aim, base, wide
    for i in range(n):
        support[i] = 0
    for k in range(q):
        for i in range(n):
            support[i] |= <uint64_t> (fabs(matrix[k * width + i]) * q > tolerance[i]) << k
    for i in range(n):
        if not tolerance[i] < 0.5:
            support[i] = 0
        if not support[i] & (support[i] - 1):              # one column: |c_ik| = 1 or nothing fits
            if not fits(1, q, width, matrix + i, tolerance + i, support + i, 0, support[i],
                        support[i]):
                return 0
            support[i] = 0
    found[0] = 0
    while known != (<uint64_t> 1 << q) - 1:
        row = next_row(n, tolerance, support, known)
        if row < 0:                                # no row restricts what is left
            if 2 * states > most:
                return -1
            fresh = ~known & (known + 1)
            for i in range(states):
                found[states + i] = found[i] | fresh
            states, known = 2 * states, known | fresh
            continue
        fresh, part, count, wide = support[row] & ~known, 0, 0, 2.0 * tolerance[row]
        both = fresh
        while both:
            both &= both - 1
            count += 1
        both = fresh
        for _ in range(count // 2):
            part |= both & (~both + 1)
            both &= both - 1
        left = sorted_sums(part, width, matrix + row, left_sum, left_bits)
        right = sorted_sums(both, width, matrix + row, right_sum, right_bits)
        for i in range(states):
            state[i] = found[i]
        count = 0
        for i in range(states):
            base = 0.0
            for k in range(q):
                if known >> k & 1:
                    base += (-matrix[k * width + row] if state[i] >> k & 1
                             else matrix[k * width + row])
            aim = 1.0 - base
            for _ in range(2):
                b = right - 1
                for a in range(left):
                    while b >= 0 and left_sum[a] + right_sum[b] > aim + wide:
                        b -= 1
                    c = b
                    while c >= 0 and left_sum[a] + right_sum[c] >= aim - wide:
                        trials -= 1
                        if trials < 0:
                            return -1
                        part = state[i] | left_bits[a] | right_bits[c]
                        if (solved and not part
                                or fits(n, q, width, matrix, tolerance, support, part,
                                        known | fresh, fresh)):
                            if count == most:
                                return -1
                            found[count] = part
                            count += 1
                        c -= 1
                aim = -1.0 - base
        states = count
        known |= fresh
    return states
