// Fused float32 kernels for the tiny dense blocks of a recursive model. See fused.py for the operations' meaning.
//
// A state has many rows (puzzles * 729) of few channels (32..64), so an eager implementation is bound by the traffic of
// its element-wise steps rather than by its matrix products. Here a tile of rows passes through the whole block - both
// products, gate, residual, norm, and on the way back all gradients - while it sits in the first two cache levels.
//
// Vectors run along channels, so no activation is ever transposed: each product is "broadcast one element of A,
// multiply a vector of B", and a broadcast does not care about A's layout. Only GCC/Clang vector extensions are used.
// Every sum has a fixed order that depends on the sizes and the number of threads alone, never on timing.

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// Floats in a vector: a divisor of 8. Not simply 8, since GCC splits vectors the CPU lacks into scalars.
#ifdef __AVX__
#define W 8
#else
#define W 4
#endif
typedef float vec __attribute__((vector_size(4 * W), may_alias));              // scratch: always aligned
typedef float vecu __attribute__((vector_size(4 * W), may_alias, aligned(4))); // caller's memory: a view at any offset
typedef int veci __attribute__((vector_size(4 * W), may_alias));
#define INLINE static inline __attribute__((always_inline))
#define V(p) (*(vec *)(p))
#define U(p) (*(vecu *)(p))
#define CV(p) (*(const vec *)(p))
#define CU(p) (*(const vecu *)(p))
// Rows of a tile: a multiple of 12 so that both micro-kernel heights (4 and 6) divide it. Larger tiles amortise the
// update of the weight gradients, smaller ones keep the activations in L1/L2.
#define TILE 48
#define MAX_THREADS 64
// ---------------------------------------------------------------------------------------------------- matrix products

// c[mr, W nv] (+)= a[mr, k] b[k, W nv]. With mr and nv constant all accumulators live in registers; 12 independent
// chains are enough to hide the latency of two FMA units, and 7..8 loads for 12 FMAs stay below two loads a cycle.
// Adding to memory at the end (instead of starting from it) sums gradients in two levels, which is more accurate.
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

// Width of the next block of columns when `left` remain: 16s, and a closing 24 rather than 16 + 8, because an 8-wide
// block has too few accumulators to fill the FMA units.
INLINE long block(long left) { return left == 24 ? 24 : left >= 16 ? 16 : 8; }

// c[m, n] (+)= a[m, k] b[k, n]; a's element (i, l) is a[i * ars + l * aks]. n is a multiple of 8. Up to 5 rows beyond m
// are read and written: the caller pads. Columns are the outer loop, so that a panel of b stays in L1.
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

// Three out-of-line forms, so that the constant stride reaches the micro-kernels but the code stays small.
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
// to an integer and leaves it in the low bits, from where one shift puts it into the exponent. NaN passes through.
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

// One call's arguments, and one thread's range of rows [first, last). w_out == NULL means the bare gate (op `gated`).
typedef struct {
    const float *h, *w_in, *w_out, *y, *rinv, *dy;
    float *out, *out_rinv, *dh;
    long first, last, c, hid;
    float *memory, *acc_in, *acc_out; // scratch; weight gradients of this range, acc_in interleaved, acc_out transposed
    float eps;
    int want_dw, failed;
} job;

INLINE long min_long(long a, long b) { return a < b ? a : b; }
INLINE long round_up(long x, long to) { return (x + to - 1) / to * to; }

// Leading dimension for n columns: an odd number of cache lines, so that a column walks through all cache sets even
// when n is a power of two; 8 spare columns because add_product_t reads up to 5 columns too many.
INLINE long leading(long n) { return ((n + 8 + 15) / 16 | 1) * 16; }

// "Interleaved": hidden units in groups of 8 gates and 8 ups, so that both halves of a unit come from one product.
typedef struct {
    float *w_in_t, *w_in, *w_out_t, *w_out; // [c, 2 hid] and [2 hid, c] interleaved, [hid, c], [c, hid]
    float *x, *du, *g, *dz;                 // a tile's rows of h, of the gradient before the norm, of hidden values
    float *z, *dg;                          // one block of columns of a tile, 48 wide
    long lc, lh, lz;                        // leading dimensions for c, hid, 2 hid columns
} buffers;

static float *take(float **at, long rows, long ld)
{
    *at += (rows + 6) * ld; // spare rows: product() may touch 5 beyond the last
    return *at - (rows + 6) * ld;
}

// Copies `rows` rows of c floats into a tile; the rows that pad it to `padded` are zero and so add to no gradient.
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

// Scratch for one thread, with the weights laid out for the products. Returns 0 when memory ran out.
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
    for (long j = 0; j < hid; j += 8) { // eight units at a time, so that transposed rows are written in runs
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

// Hidden units j .. j + w of a tile: their values g and, given the gradient dg, the gradient dz of the pre-activations.
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

// One thread's work. The way back recomputes the pre-activations from h: in a chain of blocks that is faster than to
// write and read them (four times the size of h), and it saves that memory.
static void *block_range(void *arg)
{
    job *q = arg;
    buffers s;
    long c = q->c, hid = q->hid;
    int grad = q->dy != NULL;
    if (!prepare(q, &s, grad)) return q->failed = 1, NULL;
    for (long r0 = q->first; r0 < q->last; r0 += TILE) {
        long rows = min_long(TILE, q->last - r0), padded = round_up(rows, 12);
        load_tile(q->h + r0 * c, c, c, s.x, s.lc, rows, padded);
        if (grad) load_tile(NULL, 0, c, s.du, s.lc, 0, padded);
        for (long r = 0; grad && q->w_out && r < rows; r++)
            norm_grad_row(q->y + (r0 + r) * c, q->dy + (r0 + r) * c, q->rinv[r0 + r], s.du + r * s.lc, c);
        for (long j = 0, w; j < hid; j += w) {
            w = block(hid - j);
            set_product(padded, 2 * w, c, s.x, s.lc, s.w_in_t + 2 * j, s.lz, s.z, 48);
            if (grad && q->w_out) set_product(padded, w, c, s.du, s.lc, s.w_out + j, s.lh, s.dg, 48);
            else if (grad) load_tile(q->dy + r0 * hid + j, hid, w, s.dg, 48, rows, padded);
            grad ? gate(&s, j, w, padded, 1) : gate(&s, j, w, padded, 0);
        }
        if (q->want_dw) add_product_t(2 * hid, c, padded, s.dz, s.lz, s.x, s.lc, q->acc_in, s.lc);
        if (q->want_dw && q->w_out) add_product_t(hid, c, padded, s.g, s.lh, s.du, s.lc, q->acc_out, s.lc);
        if (q->dh) { // on top of du, which is the residual's part
            add_product(padded, c, 2 * hid, s.dz, s.lz, s.w_in, s.lc, s.du, s.lc);
            store_tile(s.du, s.lc, q->dh + r0 * c, c, rows);
        }
        if (!grad && !q->w_out) store_tile(s.g, s.lh, q->out + r0 * hid, hid, rows);
        if (grad || !q->w_out) continue;
        add_product(padded, c, hid, s.g, s.lh, s.w_out_t, s.lc, s.x, s.lc); // on top of h: the residual
        for (long r = 0; r < rows; r++) {
            float rinv = norm_row(s.x + r * s.lc, q->out + (r0 + r) * c, q->eps, c);
            if (q->out_rinv) q->out_rinv[r0 + r] = rinv;
        }
    }
    return NULL;
}

// Splits the rows into ranges of whole tiles, one a thread (for a few hundred rows a thread costs more than it saves).
// The caller takes the first, and those of threads that cannot be started: so the ranges and the result's bits stay the
// same. Returns the number of ranges, or 0 when memory ran out.
static int run(const job *all, job *part, int threads)
{
    pthread_t id[MAX_THREADS];
    int started[MAX_THREADS], failed = 0;
    long tiles = (all->last + TILE - 1) / TILE, most = min_long(MAX_THREADS, tiles / 8);
    threads = threads < 1 || most < 1 ? 1 : (int)min_long(threads, most);
    for (int t = 0; t < threads; t++) {
        part[t] = *all;
        part[t].first = min_long(all->last, tiles * t / threads * TILE);
        part[t].last = min_long(all->last, tiles * (t + 1) / threads * TILE);
    }
    for (int t = 1; t < threads; t++) started[t] = !pthread_create(&id[t], NULL, block_range, &part[t]);
    block_range(&part[0]);
    for (int t = 1; t < threads; t++)
        if (started[t]) pthread_join(id[t], NULL);
        else block_range(&part[t]);
    for (int t = 0; t < threads; t++) failed |= part[t].failed;
    for (int t = 0; failed && t < threads; t++) free(part[t].memory);
    return failed ? 0 : threads;
}

// Each entry returns 0, or 1 when memory ran out. out_rinv, dh and the weight gradients may be NULL.
int trm_block(const float *h, const float *w_in, const float *w_out, float *out, float *out_rinv, long rows, long c,
              long hid, float eps, int threads)
{
    job part[MAX_THREADS], all = {.h = h, .w_in = w_in, .w_out = w_out, .out = out, .out_rinv = out_rinv, .eps = eps};
    all.last = rows, all.c = c, all.hid = hid;
    threads = run(&all, part, threads);
    for (int t = 0; t < threads; t++) free(part[t].memory);
    return threads == 0;
}

int trm_block_grad(const float *h, const float *w_in, const float *w_out, const float *y, const float *rinv,
                   const float *dy, float *dh, float *dw_in, float *dw_out, long rows, long c, long hid, int threads)
{
    job part[MAX_THREADS], all = {.h = h, .w_in = w_in, .w_out = w_out, .y = y, .rinv = rinv, .dy = dy, .dh = dh};
    all.last = rows, all.c = c, all.hid = hid, all.want_dw = dw_in || dw_out;
    threads = run(&all, part, threads);
    for (long j = 0; threads && j < hid; j++)
        for (long k = 0; k < c; k++) {
            long at_gate = (j / 8 * 16 + j % 8) * leading(c) + k;
            float gate = 0, up = 0, out = 0;
            for (int t = 0; t < threads; t++) {
                gate += part[t].acc_in[at_gate];
                up += part[t].acc_in[at_gate + 8 * leading(c)];
                out += part[t].acc_out[j * leading(c) + k];
            }
            if (dw_in) dw_in[j * c + k] = gate, dw_in[(hid + j) * c + k] = up;
            if (dw_out) dw_out[k * hid + j] = out;
        }
    for (int t = 0; t < threads; t++) free(part[t].memory);
    return threads == 0;
}

// ------------------------------------------------------------------------------------------------- element by element

// One call's arguments, and one thread's range of units [first, last): rows, or groups of rows that belong together.
typedef struct {
    const float *a, *b, *third, *rinv;
    float *out, *other;
    long first, last, group, c;
    float eps;
} rows_job;

// Runs `work` over all units, in ranges of at least SHARE floats a thread. Every unit is computed alike in any range.
#define SHARE 65536
static void spread(void *(*work)(void *), rows_job all, long units, long floats, int threads)
{
    pthread_t id[MAX_THREADS];
    rows_job part[MAX_THREADS];
    int started[MAX_THREADS];
    long most = min_long(min_long(MAX_THREADS, units), units * floats / SHARE);
    threads = threads < 1 || most < 1 ? 1 : (int)min_long(threads, most);
    for (int t = 0; t < threads; t++) {
        part[t] = all;
        part[t].first = units * t / threads, part[t].last = units * (t + 1) / threads;
        started[t] = t && !pthread_create(&id[t], NULL, work, &part[t]);
    }
    work(&part[0]);
    for (int t = 1; t < threads; t++)
        if (started[t]) pthread_join(id[t], NULL);
        else work(&part[t]);
}

// a = rows of c gates and c ups; out = silu(gate) * up.
static void *gate_rows(void *arg)
{
    rows_job *q = arg;
    for (long r = q->first; r < q->last; r++) {
        const float *gate = q->a + r * 2 * q->c, *up = gate + q->c;
        float *out = q->out + r * q->c;
        for (long k = 0; k < q->c; k += W) U(out + k) = CU(gate + k) * sigmoid(CU(gate + k)) * CU(up + k);
    }
    return NULL;
}

// b = gradient of gate_rows' result; out = gradient of its input; other = its result again, which the caller needs.
static void *gate_grad_rows(void *arg)
{
    rows_job *q = arg;
    for (long r = q->first; r < q->last; r++) {
        const float *gate = q->a + r * 2 * q->c, *up = gate + q->c, *grad = q->b + r * q->c;
        float *dgate = q->out + r * 2 * q->c, *dup = dgate + q->c, *again = q->other + r * q->c;
        for (long k = 0; k < q->c; k += W) {
            vec x = CU(gate + k), sig = sigmoid(x), silu = x * sig, dg = CU(grad + k), factor = CU(up + k);
            U(again + k) = silu * factor;
            U(dup + k) = dg * silu;
            U(dgate + k) = dg * factor * (sig + silu * (1.0f - sig));
        }
    }
    return NULL;
}

// out = rms_norm(a + b + third), other (or NULL) = 1 / rms.
static void *add_norm_rows(void *arg)
{
    rows_job *q = arg;
    long c = q->c;
    for (long r = q->first * q->group; r < q->last * q->group; r++) {
        float *y = q->out + r * c;
        for (long k = 0; k < c; k += W) U(y + k) = CU(q->a + r * c + k) + CU(q->b + r * c + k);
        for (long k = 0; q->third && k < c; k += W) U(y + k) += CU(q->third + r / q->group * c + k);
        float rinv = norm_row(y, y, q->eps, c);
        if (q->other) q->other[r] = rinv;
    }
    return NULL;
}

// a = y, b = dy; out = du, other (or NULL) = gradient of the third term, whose rows are summed in order.
static void *add_norm_grad_rows(void *arg)
{
    rows_job *q = arg;
    long c = q->c;
    for (long r = q->first * q->group; r < q->last * q->group; r++) {
        float *du = q->out + r * c, *t = q->other + r / q->group * c;
        norm_grad_row(q->a + r * c, q->b + r * c, q->rinv[r], du, c);
        if (!q->other) continue;
        if (r % q->group == 0) memset(t, 0, (size_t)c * sizeof(float));
        for (long k = 0; k < c; k += W) U(t + k) += CU(du + k);
    }
    return NULL;
}

void trm_gate(const float *z, float *out, long rows, long hid, int threads)
{
    spread(gate_rows, (rows_job){.a = z, .out = out, .c = hid}, rows, 2 * hid, threads);
}

void trm_gate_grad(const float *z, const float *dg, float *dz, float *g, long rows, long hid, int threads)
{
    spread(gate_grad_rows, (rows_job){.a = z, .b = dg, .out = dz, .other = g, .c = hid}, rows, 4 * hid, threads);
}

// third (or NULL) has one row for each `group` consecutive rows of a and b.
void trm_add_norm(const float *a, const float *b, const float *third, float *y, float *out_rinv, long rows, long group,
                  long c, float eps, int threads)
{
    rows_job all = {.a = a, .b = b, .third = third, .out = y, .other = out_rinv, .group = group, .c = c, .eps = eps};
    spread(add_norm_rows, all, rows / group, group * c, threads);
}

// du is the gradient of a and of b; dthird (or NULL) that of the third term.
void trm_add_norm_grad(const float *y, const float *rinv, const float *dy, float *du, float *dthird, long rows,
                       long group, long c, int threads)
{
    rows_job all = {.a = y, .b = dy, .rinv = rinv, .out = du, .other = dthird, .group = group, .c = c};
    spread(add_norm_grad_rows, all, rows / group, group * c, threads);
}
