#pragma once
// Vectors and small matrix products, in float32 or, with TRM_BFLOAT16, with factors rounded to bfloat16 and sums in
// float32.
//
// The factors of a product are "sides". In float32 a side is a matrix of floats. In bfloat16 its element is a pair of
// neighbours along the axis that is summed, which is what the processor's dot products take. The functions left, right
// and turned make a side of a tile of floats; in float32 they give the tile itself. There are three ways:
//   float32                  a fused multiply-add for each element
//   bfloat16                 a dot product of two pairs for each element (AVX512-BF16, ARM's BF16)
//   bfloat16 with TILES      products of 16 x 16 x 32 in the tile registers of AMX
//
// Vectors run along the columns of the result: a product broadcasts one element of a and multiplies a vector of b. The
// order of every sum depends only on the sizes, never on timing.

#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#include <arm_neon.h>
#endif

// Floats in a vector. It is not the same everywhere, since GCC splits vectors that the CPU lacks into scalars.
#if defined(__AVX512F__)
#define W 16
#elif defined(__AVX__)
#define W 8
#else
#define W 4
#endif
#define UNIT (W > 8 ? W : 8) // columns are padded with zeros to a multiple of this
typedef float vec __attribute__((vector_size(4 * W), may_alias));              // scratch memory, always aligned
typedef float vecu __attribute__((vector_size(4 * W), may_alias, aligned(4))); // the caller's memory, at any offset
typedef int veci __attribute__((vector_size(4 * W), may_alias));
#define INLINE static inline __attribute__((always_inline))
#define V(p) (*(vec *)(p))
#define U(p) (*(vecu *)(p))
#define CV(p) (*(const vec *)(p))
#define CU(p) (*(const vecu *)(p))
#define EACH(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < n; i++)

#ifdef TRM_BFLOAT16
#if !defined(__AVX512BF16__) && !defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#error "the processor has no bfloat16 products"
#endif
#if defined(__AMX_BF16__) && defined(__linux__) && !defined(TRM_NO_TILES)
#define TILES
#endif
typedef uint32_t elem;
#define PER 2 // factors in an element
#else
typedef float elem;
#define PER 1
#endif

// Rows of a tile, a multiple of the heights of all micro-kernels. Larger tiles amortise the update of the weight
// gradients; smaller ones keep the activations in L1 and L2. Rows are padded with zeros to a multiple of ROWS.
#ifdef TILES
#define TILE 96
#define ROWS 16
#else
#define TILE 48
#define ROWS 12
#endif
#define SPARE 16 // rows beyond the last that a product may read and write

typedef struct {
    elem *at;
    long ld; // elements from a row to the next
} side;

INLINE long min_long(long a, long b) { return a < b ? a : b; }
INLINE long round_up(long x, long to) { return (x + to - 1) / to * to; }

// Columns over which a product sums, of c that are padded to a multiple of UNIT: tiles take all, else the padding is left
// out.
#ifdef TILES
INLINE long inner(long c) { return round_up(c, UNIT); }
#else
INLINE long inner(long c) { return c; }
#endif

// Rows over which a product of `rows` rows sums: the sides have zeros beyond the last row.
INLINE long summed(long rows) { return PER == 1 ? rows : round_up(rows, ROWS); }

// Leading dimension for n columns: an odd number of cache lines, so that a column uses all cache sets even if n is a
// power of two. There are 8 spare columns, 16 where columns are padded to 16, because a product and `left` may read so
// many too many.
INLINE long leading(long n) { return ((n + 8 + 15) / 16 | 1) * 16; }

// ------------------------------------------------------------------------------------------------ the caller's memory

// The next `left` floats of memory, zero beyond them. Only vectors of 16 can be cut: widths are multiples of 8.
INLINE vec some(const float *p, long left)
{
#if W == 16
    if (left < W) return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << left) - 1), p);
#endif
    (void)left;
    return (vec)CU(p);
}

INLINE void put(float *p, vec x, long left)
{
#if W == 16
    if (left < W) {
        _mm512_mask_storeu_ps(p, (__mmask16)((1u << left) - 1), (__m512)x);
        return;
    }
#endif
    (void)left;
    U(p) = x;
}

// ----------------------------------------------------------------------------------------------------------- the sides

#if PER == 1

INLINE side left(float *tile, long ld, long rows, long k, side room)
{
    (void)rows, (void)k, (void)room;
    return (side){tile, ld};
}
INLINE side right(float *tile, long ld, long rows, long n, side room) { return left(tile, ld, rows, n, room); }
INLINE side turned(float *tile, long ld, long rows, long n, side room) { return left(tile, ld, rows, n, room); }
INLINE long left_leading(long k) { return leading(k); }

#else

INLINE long left_leading(long k) { return leading(k / 2); }

// 2 W neighbours, rounded.
INLINE void pack(const float *from, elem *to)
{
#if W == 16
    *(__m512bh *)to = _mm512_cvtne2ps_pbh((__m512)CV(from + W), (__m512)CV(from));
#else
    bfloat16x8_t low = vcvtq_low_bf16_f32((float32x4_t)CV(from));
    *(veci *)to = (veci)vcvtq_high_bf16_f32(low, (float32x4_t)CV(from + W));
#endif
}

// Pairs of the elements of two vectors, rounded; `low` comes first.
INLINE veci pair(vec low, vec high)
{
#if W == 16
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (veci)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
#else
    bfloat16x8_t both = vcvtq_high_bf16_f32(vcvtq_low_bf16_f32((float32x4_t)low), (float32x4_t)high);
    uint16x8_t bits = vreinterpretq_u16_bf16(both);
    return (veci)vzip1q_u16(bits, vextq_u16(bits, bits, 4));
#endif
}

// Neighbours in a row: for a in a b. tile [rows, k].
INLINE side left(const float *tile, long ld, long rows, long k, side room)
{
    for (long r = 0; r < rows; r++)
        for (long i = 0; i < k; i += 2 * W) pack(tile + r * ld + i, room.at + r * room.ld + i / 2);
    return room;
}

// Rows [first, first + 1] of a tile [rows, n], from column i on, as pairs; zeros beyond the last row.
INLINE veci pair_at(const float *tile, long ld, long rows, long first, long i)
{
    const float *at = tile + first * ld + i;
    return pair(first < rows ? CV(at) : (vec){0}, first + 1 < rows ? CV(at + ld) : (vec){0});
}

// Neighbours in a column: for b in a b. tile [rows, n]; there are zeros up to row `summed(rows)`.
INLINE side right(const float *tile, long ld, long rows, long n, side room)
{
    for (long r = 0; r < summed(rows); r += 2)
        for (long i = 0; i < n; i += W) *(veci *)(room.at + r / 2 * room.ld + i) = pair_at(tile, ld, rows, r, i);
    return room;
}

#ifndef TILES
// For a in a^T b.
INLINE side turned(const float *tile, long ld, long rows, long n, side room) { return right(tile, ld, rows, n, room); }
#else

// Transposes 16 x 16 elements in registers.
INLINE void transpose(__m512i r[16])
{
    __m512i t[16];
    EACH(i, 8) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    EACH(i, 4) {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    EACH(i, 4) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    EACH(i, 4) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

// For a in a^T b: the transposed tile, [n, rows / 2].
static __attribute__((noinline)) side turned(const float *tile, long ld, long rows, long n, side room)
{
    for (long r = 0; r < rows; r += 32)
        for (long i = 0; i < n; i += 16) {
            __m512i part[16];
            EACH(p, 16) part[p] = (__m512i)pair_at(tile, ld, rows, r + 2 * p, i);
            transpose(part);
            EACH(p, 16) *(__m512i *)(room.at + (i + p) * room.ld + r / 2) = part[p];
        }
    return room;
}

#endif
#endif

// ------------------------------------------------------------------------------------------------------------ products

// acc + a b, where a is one element for all columns.
INLINE vec step(vec acc, elem a, vec b)
{
#if PER == 1
    return acc + a * b;
#elif W == 16
    return (vec)_mm512_dpbf16_ps((__m512)acc, (__m512bh)_mm512_set1_epi32((int)a), (__m512bh)b);
#else
    return (vec)vbfdotq_f32((float32x4_t)acc, vreinterpretq_bf16_u32(vdupq_n_u32(a)), (bfloat16x8_t)b);
#endif
}

// c[mr, W nv] (+)= a[mr, k] b[k, W nv]. Since mr and nv are constants, all accumulators stay in registers. Twelve
// independent chains are enough to hide the latency of two FMA units, and there are fewer loads than products. Adding
// to memory at the end, instead of starting from it, sums gradients in two levels, which is more accurate.
#define MICRO(NAME, MR, NV)                                                                                            \
    INLINE void NAME(long k, const elem *a, long ars, long aks, const elem *b, long ldb, float *c, long ldc, int add)  \
    {                                                                                                                  \
        vec acc[MR][NV], bv[NV];                                                                                       \
        EACH(m, MR) EACH(n, NV) acc[m][n] = (vec){0};                                                                  \
        for (; k > 0; k--, a += aks, b += ldb) {                                                                       \
            EACH(n, NV) bv[n] = CV(b + W * n);                                                                         \
            EACH(m, MR) EACH(n, NV) acc[m][n] = step(acc[m][n], a[m * ars], bv[n]);                                    \
        }                                                                                                              \
        EACH(m, MR) EACH(n, NV) {                                                                                      \
            if (add) acc[m][n] += V(c + m * ldc + W * n);                                                              \
            V(c + m * ldc + W * n) = acc[m][n];                                                                        \
        }                                                                                                              \
    }

// Height of the micro-kernel for columns in blocks of `block`. For vectors of up to 8 the last 24 columns are one
// block, not 16 + 8, because an 8-wide block has too few accumulators to keep the FMA units busy.
#if W == 16
MICRO(micro_wide, 12, 2)
MICRO(micro_wide_8, 8, 2)
MICRO(micro_wide_4, 4, 2)
MICRO(micro_narrow, 12, 1)
INLINE long block(long left) { return left >= 32 ? 32 : 16; }
INLINE long height(long width, long left) { return width < 32 || left > 8 ? 12 : left > 4 ? 8 : 4; }
#else
MICRO(micro_wide, 6, 16 / W)
MICRO(micro_last, 4, 24 / W)
MICRO(micro_narrow, 6, 8 / W)
INLINE long block(long left) { return left == 24 ? 24 : left >= 16 ? 16 : 8; }
INLINE long height(long width, long left) { return (void)left, width == 24 ? 4 : 6; }
#endif

// c[m, n] (+)= a[m, k] b[k, n]; element (i, l) of a is a[i * ars + l * aks]. n is a multiple of UNIT. Rows beyond m, up
// to the next multiple of the height, are read and written, so the caller pads. Columns are the outer loop, so that a
// panel of b stays in L1.
INLINE void product(long m, long n, long k, const elem *a, long ars, long aks, side b, float *c, long ldc, int add)
{
    for (long j = 0, w; j < n; j += w) {
        w = block(n - j);
        for (long i = 0, h; i < m; i += h) {
            h = height(w, m - i);
            const elem *from = a + i * ars, *by = b.at + j;
            float *to = c + i * ldc + j;
#if W == 16
            if (w == 32 && h == 8) micro_wide_8(k, from, ars, aks, by, b.ld, to, ldc, add);
            else if (w == 32 && h == 4) micro_wide_4(k, from, ars, aks, by, b.ld, to, ldc, add);
            else
#endif
            if (w == (W == 16 ? 32 : 16)) micro_wide(k, from, ars, aks, by, b.ld, to, ldc, add);
#if W < 16
            else if (w == 24) micro_last(k, from, ars, aks, by, b.ld, to, ldc, add);
#endif
            else micro_narrow(k, from, ars, aks, by, b.ld, to, ldc, add);
        }
    }
}

#ifdef TILES

// The tile registers: 0 to 2 hold sums of 16 rows each, 3 and 4 factors of 32 rows or columns, 5 and 6 the last 16.
static void open_tiles(void)
{
    // In static memory: GCC 12 believes that only the first 8 bytes of the shape are read.
    static const struct {
        uint8_t palette, start, unused[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1, .bytes = {64, 64, 64, 64, 64, 32, 64}, .rows = {16, 16, 16, 16, 16, 16, 8}};
    _tile_loadconfig(&shape);
}

static void close_tiles(void) { _tile_release(); }

// The compiler does not know that tile instructions read memory.
#define FENCE __asm__ volatile("" ::: "memory")

// As `product`, by tiles; elements of a and b are pairs, and k counts them, a multiple of 8.
static __attribute__((noinline)) void by_tiles(long m, long n, long k, side a, side b, float *c, long ldc, int add)
{
    const long as = a.ld * 4, bs = b.ld * 4, cs = ldc * 4, next = 16 * a.ld;
    FENCE;
    for (long i = 0; i < m; i += 48)
        for (long j = 0; j < n; j += 16) {
            int two = m - i > 16, three = m - i > 32;
            float *to = c + i * ldc + j;
            if (add) {
                _tile_loadd(0, to, cs);
                if (two) _tile_loadd(1, to + 16 * ldc, cs);
                if (three) _tile_loadd(2, to + 32 * ldc, cs);
            } else {
                _tile_zero(0);
                _tile_zero(1);
                _tile_zero(2);
            }
            const elem *from = a.at + i * a.ld, *by = b.at + j;
            long l = 0;
            for (; l + 16 <= k; l += 16, from += 16, by += 16 * b.ld) {
                _tile_loadd(4, by, bs);
                _tile_loadd(3, from, as);
                _tile_dpbf16ps(0, 3, 4);
                if (!two) continue;
                _tile_loadd(3, from + next, as);
                _tile_dpbf16ps(1, 3, 4);
                if (!three) continue;
                _tile_loadd(3, from + 2 * next, as);
                _tile_dpbf16ps(2, 3, 4);
            }
            if (l < k) {
                _tile_loadd(6, by, bs);
                _tile_loadd(5, from, as);
                _tile_dpbf16ps(0, 5, 6);
                if (two) {
                    _tile_loadd(5, from + next, as);
                    _tile_dpbf16ps(1, 5, 6);
                }
                if (three) {
                    _tile_loadd(5, from + 2 * next, as);
                    _tile_dpbf16ps(2, 5, 6);
                }
            }
            _tile_stored(0, to, cs);
            if (two) _tile_stored(1, to + 16 * ldc, cs);
            if (three) _tile_stored(2, to + 32 * ldc, cs);
        }
    FENCE;
}

#define PRODUCT(NAME, ARS, AKS, ADD)                                                                                   \
    INLINE void NAME(long m, long n, long k, side a, side b, float *c, long ldc)                                       \
    {                                                                                                                  \
        by_tiles(m, n, k / PER, a, b, c, ldc, ADD);                                                                    \
    }

#else

static void open_tiles(void) {}
static void close_tiles(void) {}

// Three functions that are not inlined: the micro-kernels see the constant stride, and the code stays small.
#define PRODUCT(NAME, ARS, AKS, ADD)                                                                                   \
    static __attribute__((noinline)) void NAME(long m, long n, long k, side a, side b, float *c, long ldc)             \
    {                                                                                                                  \
        product(m, n, k / PER, a.at, ARS, AKS, b, c, ldc, ADD);                                                        \
    }

#endif
PRODUCT(set_product, a.ld, 1, 0)   // c = a b
PRODUCT(add_product, a.ld, 1, 1)   // c += a b
PRODUCT(add_product_t, 1, a.ld, 1) // c += a^T b; a is a side made by `turned`
