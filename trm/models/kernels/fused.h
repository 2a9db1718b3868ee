#pragma once
// Shared by the float32 kernels: vectors, small matrix products, and the gated layer on a tile of rows.
//
// A state has many rows (puzzles * 729) of few channels (32 to 64), so an eager implementation is limited by the memory
// traffic of its elementwise operations, not by its matrix products. Here a tile of rows passes through the whole block
// while it stays in the first two cache levels: both products, gate, residual and norm, and in the backward pass all
// gradients.
//
// Vectors run along channels, so activations are never transposed: each product broadcasts one element of A and
// multiplies a vector of B, and a broadcast works with any layout of A. Only GCC and Clang vector extensions are used.
// The order of every sum depends only on the sizes and the number of threads, never on timing.

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// Floats in a vector, a divisor of 8. It is not always 8, since GCC splits vectors that the CPU lacks into scalars.
#ifdef __AVX__
#define W 8
#else
#define W 4
#endif
typedef float vec __attribute__((vector_size(4 * W), may_alias));              // scratch memory, always aligned
typedef float vecu __attribute__((vector_size(4 * W), may_alias, aligned(4))); // the caller's memory, at any offset
typedef int veci __attribute__((vector_size(4 * W), may_alias));
#define INLINE static inline __attribute__((always_inline))
#define V(p) (*(vec *)(p))
#define U(p) (*(vecu *)(p))
#define CV(p) (*(const vec *)(p))
#define CU(p) (*(const vecu *)(p))
// Rows of a tile: a multiple of 12, so that both micro-kernel heights (4 and 6) divide it. Larger tiles amortise the
// update of the weight gradients; smaller ones keep the activations in L1 and L2.
#define TILE 48
#define MAX_THREADS 64
// ---------------------------------------------------------------------------------------------------- matrix products

// c[mr, W nv] (+)= a[mr, k] b[k, W nv]. Since mr and nv are constants, all accumulators stay in registers. Twelve
// independent chains are enough to hide the latency of two FMA units, and 7 or 8 loads for 12 FMAs stay below two loads
// per cycle. Adding to memory at the end, instead of starting from it, sums gradients in two levels, which is more
// accurate.
#define EACH(i, n) _Pragma("GCC unroll 8") for (int i = 0; i < n; i++)
#define MICRO(NAME, MR, NV)                                                                                            \
    INLINE void NAME(long k, const float *a, long ars, long aks, const float *b, long ldb, float *c, long ldc, int add)\
    {                                                                                                                  \
        vec acc[MR][NV], bv[NV];                                                                                       \
        EACH(m, MR) EACH(n, NV) acc[m][n] = (vec){0};                                                                  \
        for (; k > 0; k--, a += aks, b += ldb) {                                                                       \
            EACH(n, NV) bv[n] = CV(b + W * n);                                                                         \
            EACH(m, MR) EACH(n, NV) acc[m][n] += a[m * ars] * bv[n];                                                   \
        }                                                                                                              \
        EACH(m, MR) EACH(n, NV) {                                                                                      \
            if (add) acc[m][n] += V(c + m * ldc + W * n);                                                              \
            V(c + m * ldc + W * n) = acc[m][n];                                                                        \
        }                                                                                                              \
    }
MICRO(micro_6x16, 6, 16 / W)
MICRO(micro_4x24, 4, 24 / W)
MICRO(micro_6x8, 6, 8 / W)

// Width of the next block of columns when `left` columns remain. Blocks are 16 wide; the last 24 columns are one block,
// not 16 + 8, because an 8-wide block has too few accumulators to keep the FMA units busy.
INLINE long block(long left) { return left == 24 ? 24 : left >= 16 ? 16 : 8; }

// c[m, n] (+)= a[m, k] b[k, n]; element (i, l) of a is a[i * ars + l * aks]. n is a multiple of 8. Up to 5 rows beyond
// m are read and written, so the caller pads. Columns are the outer loop, so that a panel of b stays in L1.
INLINE void product(long m, long n, long k, const float *a, long ars, long aks, const float *b, long ldb, float *c,
                    long ldc, int add)
{
    for (long j = 0, w; j < n; j += w) {
        w = block(n - j);
        for (long i = 0; i < m; i += w == 24 ? 4 : 6)
            if (w == 16) micro_6x16(k, a + i * ars, ars, aks, b + j, ldb, c + i * ldc + j, ldc, add);
            else if (w == 24) micro_4x24(k, a + i * ars, ars, aks, b + j, ldb, c + i * ldc + j, ldc, add);
            else micro_6x8(k, a + i * ars, ars, aks, b + j, ldb, c + i * ldc + j, ldc, add);
    }
}

// Three functions that are not inlined: the micro-kernels see the constant stride, and the code stays small.
#define PRODUCT(NAME, ARS, AKS, ADD)                                                                                   \
    static __attribute__((noinline)) void NAME(long m, long n, long k, const float *a, long lda, const float *b,       \
                                               long ldb, float *c, long ldc)                                           \
    {                                                                                                                  \
        product(m, n, k, a, ARS, AKS, b, ldb, c, ldc, ADD);                                                            \
    }
PRODUCT(set_product, lda, 1, 0)   // c = a b
PRODUCT(add_product, lda, 1, 1)   // c += a b
PRODUCT(add_product_t, 1, lda, 1) // c += a^T b

INLINE vec choose(veci mask, vec yes, vec no) { return (vec)((mask & (veci)yes) | (~mask & (veci)no)); }

// 1 / (1 + exp(-x)) with a relative error of about 1e-7: exp(-x) = 2^n exp(r), |r| <= ln(2)/2. Adding 1.5 * 2^23 rounds
// to an integer in the low bits, and one shift moves it into the exponent. NaN stays NaN.
INLINE vec sigmoid(vec x)
{
    const vec top = (vec){0} + 88.0f, magic = (vec){0} + 12582912.0f;
    vec t = -x;
    t = choose(t > top, top, t);
    t = choose(t < -top + 1.0f, -top + 1.0f, t);
    vec n = t * 1.44269504088896341f + magic, scale = (vec)(((veci)n << 23) + (127 << 23));
    n -= magic;
    vec r = (t - n * 0.693359375f) + n * 2.12194440e-4f; // ln(2) in two parts
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return 1.0f / (p * scale + 1.0f);
}

INLINE float total(vec x)
{
    return W == 4 ? (x[0] + x[2]) + (x[1] + x[3])
                  : ((x[0] + x[W - 4]) + (x[1] + x[W - 3])) + ((x[2] + x[W - 2]) + (x[3] + x[W - 1]));
}

// Gradient of y = u / rms(u) for one row: du = (dy - y mean(y dy)) / rms(u).
INLINE void norm_grad_row(const float *y, const float *dy, float rinv, float *du, long c)
{
    vec dot = {0};
    for (long k = 0; k < c; k += W) dot += CU(y + k) * CU(dy + k);
    float mean = total(dot) / (float)c;
    for (long k = 0; k < c; k += W) U(du + k) = (CU(dy + k) - CU(y + k) * mean) * rinv;
}

// y = u / rms(u) for one row; returns 1 / rms(u).
INLINE float norm_row(const float *u, float *y, float eps, long c)
{
    vec square = {0};
    for (long k = 0; k < c; k += W) square += CU(u + k) * CU(u + k);
    float rinv = 1.0f / sqrtf(total(square) / (float)c + eps);
    for (long k = 0; k < c; k += W) U(y + k) = CU(u + k) * rinv;
    return rinv;
}

// ------------------------------------------------------------------------------------------------------------- blocks

// The arguments of a call and the rows [first, last) of one thread. w_out == NULL: the gated unit alone (`gated`).
typedef struct {
    const float *h, *w_in, *w_out, *y, *rinv, *dy;
    float *out, *out_rinv, *dh;
    long first, last, c, hid;
    float *memory, *acc_in, *acc_out; // scratch; weight gradients of these rows, acc_in interleaved, acc_out transposed
    float eps;
    int want_dw, failed;
} job;

INLINE long min_long(long a, long b) { return a < b ? a : b; }
INLINE long round_up(long x, long to) { return (x + to - 1) / to * to; }

// Leading dimension for n columns: an odd number of cache lines, so that a column uses all cache sets even if n is a
// power of two. There are 8 spare columns because add_product_t reads up to 5 columns too many.
INLINE long leading(long n) { return ((n + 8 + 15) / 16 | 1) * 16; }

// "Interleaved" means hidden units in groups of 8 gates and 8 ups, so that one product gives both halves of a unit.
typedef struct {
    float *w_in_t, *w_in, *w_out_t, *w_out; // [c, 2 hid] and [2 hid, c] interleaved, [hid, c], [c, hid]
    float *x, *du, *g, *dz;                 // rows of a tile: h, gradient before norm, hidden values, their gradient
    float *z, *dg;                          // one block of columns of a tile; rows are 48 apart
    long lc, lh, lz;                        // leading dimensions for c, hid, 2 hid columns
} buffers;

static float *take(float **at, long rows, long ld)
{
    *at += (rows + 6) * ld; // spare rows: product() may access 5 beyond the last
    return *at - (rows + 6) * ld;
}

// Copies `rows` rows of c floats into a tile. The rows that pad it to `padded` are zero, so they add to no gradient.
static void load_tile(const float *from, long step, long c, float *tile, long ld, long rows, long padded)
{
    for (long r = 0; r < padded; r++)
        for (long k = 0; k < c; k += W) V(tile + r * ld + k) = r < rows ? (vec)CU(from + r * step + k) : (vec){0};
}

static void store_tile(const float *tile, long ld, float *to, long c, long rows)
{
    for (long r = 0; r < rows; r++)
        for (long k = 0; k < c; k += W) U(to + r * c + k) = CV(tile + r * ld + k);
}

// Allocates the scratch memory of one thread and lays out the weights for the products. Returns 0 if memory ran out.
static int prepare(job *q, buffers *s, int grad)
{
    long c = q->c, hid = q->hid, lc = leading(c), lh = leading(hid), lz = leading(2 * hid);
    long size = (2 * TILE + 6 * hid + 36) * lc + (TILE + c + 12) * lh + (TILE + c + 12) * lz + 2 * (TILE + 6) * 48;
    size *= (long)sizeof(float);
    if (posix_memalign((void **)&q->memory, 64, (size_t)size)) return 0;
    memset(q->memory, 0, (size_t)size);
    float *at = q->memory;
    *s = (buffers){.lc = lc, .lh = lh, .lz = lz};
    s->x = take(&at, TILE, lc), s->g = take(&at, TILE, lh), s->z = take(&at, TILE, 48), s->w_in_t = take(&at, c, lz);
    if (grad) {
        s->du = take(&at, TILE, lc), s->dg = take(&at, TILE, 48), s->dz = take(&at, TILE, lz);
        s->w_out = take(&at, c, lh), s->w_in = take(&at, 2 * hid, lc);
        q->acc_in = take(&at, 2 * hid, lc), q->acc_out = take(&at, hid, lc);
    } else {
        s->w_out_t = take(&at, hid, lc);
    }
    for (long j = 0; j < hid; j += 8) { // eight units at a time, so that transposed rows are written in contiguous runs
        const float *gate = q->w_in + j * c, *up = gate + hid * c;
        for (long k = 0; k < c; k++)
            for (long i = 0; i < 8; i++)
                s->w_in_t[k * lz + 2 * j + i] = gate[i * c + k], s->w_in_t[k * lz + 2 * j + 8 + i] = up[i * c + k];
        if (!grad) continue;
        load_tile(gate, c, c, s->w_in + 2 * j * lc, lc, 8, 8);
        load_tile(up, c, c, s->w_in + (2 * j + 8) * lc, lc, 8, 8);
    }
    if (q->w_out && grad) load_tile(q->w_out, hid, hid, s->w_out, lh, c, c);
    for (long j = 0; q->w_out && !grad && j < hid; j++)
        for (long k = 0; k < c; k++) s->w_out_t[j * lc + k] = q->w_out[k * hid + j];
    return 1;
}

// For hidden units j to j + w of a tile: their values g and, with grad, the gradient dz of the pre-activations from dg.
INLINE void gate(const buffers *s, long j, long w, long rows, int grad)
{
    for (long r = 0; r < rows; r++)
        for (long i = 0; i < w; i += W) {
            long at = i / 8 * 16 + i % 8; // interleaved
            vec gate = CV(s->z + r * 48 + at), up = CV(s->z + r * 48 + at + 8), sig = sigmoid(gate), silu = gate * sig;
            V(s->g + r * s->lh + j + i) = silu * up;
            if (!grad) continue;
            vec dg = CV(s->dg + r * 48 + i);
            V(s->dz + r * s->lz + 2 * j + at) = dg * up * (sig + silu * (1.0f - sig));
            V(s->dz + r * s->lz + 2 * j + at + 8) = dg * silu;
        }
}

// Runs `work` on `count` ranges, each described by `size` bytes of `parts`: on OpenMP's threads if the caller has those
// (see build.py), else in threads of its own. The result does not depend on which thread does a range, or on how many
// threads there are.
static void in_threads(void *(*work)(void *), void *parts, size_t size, int count)
{
#ifdef _OPENMP
#pragma omp parallel for num_threads(count) schedule(static, 1) if (count > 1)
    for (int t = 0; t < count; t++) work((char *)parts + (size_t)t * size);
#else
    pthread_t id[MAX_THREADS];
    int started[MAX_THREADS];
    for (int t = 1; t < count; t++) started[t] = !pthread_create(&id[t], NULL, work, (char *)parts + (size_t)t * size);
    work(parts);
    for (int t = 1; t < count; t++)
        if (started[t]) pthread_join(id[t], NULL);
        else work((char *)parts + (size_t)t * size);
#endif
}

// dw [2 hid, c], gates before ups: the sum of the interleaved gradients of w_in over all ranges.
static void sum_in(const float *const *acc, int count, float *dw, long hid, long c)
{
    for (long j = 0; j < hid; j++)
        for (long k = 0; k < c; k++) {
            float gate = 0, up = 0;
            for (int t = 0; t < count; t++) {
                const float *at = acc[t] + (j / 8 * 16 + j % 8) * leading(c) + k;
                gate += at[0], up += at[8 * leading(c)];
            }
            dw[j * c + k] = gate, dw[(hid + j) * c + k] = up;
        }
}
