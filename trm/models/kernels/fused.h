#pragma once
// Shared by the kernels: the gated layer on a tile of rows, norms, threads.
//
// A state has many rows (puzzles * 729) of few channels (32 to 64), so an eager implementation is limited by the memory
// traffic of its elementwise operations, not by its matrix products. Here a tile of rows passes through the whole block
// while it stays in the first two cache levels: both products, gate, residual and norm, and in the backward pass all
// gradients. Only GCC and Clang vector extensions are used, and intrinsics for what they lack. The order of every sum
// depends only on the sizes and the number of threads, never on timing.

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "products.h"

#define MAX_THREADS 64

#if W == 16 && PER == 2

// 1 / (1 + exp(-x)) with a relative error of about 6e-5, a thirtieth of what rounding to bfloat16 adds: 2^t with its
// fraction by a polynomial, the whole part into the exponent. NaN stays NaN.
INLINE vec sigmoid(vec x)
{
    vec t = x * -1.44269504088896341f;
    vec r = (vec)_mm512_reduce_ps((__m512)t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); // t - floor(t)
    vec p = r * 1.3534167e-2f + 5.2011464e-2f;
    p = p * r + 2.4144275e-1f;
    p = p * r + 6.9300383e-1f;
    p = p * r + 1.0000026f;
    return (vec)_mm512_rcp14_ps(_mm512_add_ps(_mm512_scalef_ps((__m512)p, (__m512)t), _mm512_set1_ps(1.0f)));
}

#else

INLINE vec choose(veci mask, vec yes, vec no) { return (vec)((mask & (veci)yes) | (~mask & (veci)no)); }

#if W == 16
INLINE vec limit(vec x, float low, float high) // NaN stays NaN
{
    return (vec)_mm512_max_ps(_mm512_set1_ps(low), _mm512_min_ps(_mm512_set1_ps(high), (__m512)x));
}
INLINE vec inverse(vec x) // a step of Newton's method doubles the 14 bits
{
    vec guess = (vec)_mm512_rcp14_ps((__m512)x);
    return guess * (2.0f - x * guess);
}
#else
INLINE vec limit(vec x, float low, float high)
{
    const vec bottom = (vec){0} + low, top = (vec){0} + high;
    x = choose(x > top, top, x);
    return choose(x < bottom, bottom, x);
}
INLINE vec inverse(vec x) { return 1.0f / x; }
#endif

// 1 / (1 + exp(-x)) with a relative error of about 1e-7: exp(-x) = 2^n exp(r), |r| <= ln(2)/2. Adding 1.5 * 2^23 rounds
// to an integer in the low bits, and one shift moves it into the exponent. NaN stays NaN.
INLINE vec sigmoid(vec x)
{
    const vec magic = (vec){0} + 12582912.0f;
    vec t = limit(-x, -87.0f, 88.0f);
    vec n = t * 1.44269504088896341f + magic, scale = (vec)(((veci)n << 23) + (127 << 23));
    n -= magic;
    vec r = (t - n * 0.693359375f) + n * 2.12194440e-4f; // ln(2) in two parts
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return inverse(p * scale + 1.0f);
}

#endif

INLINE float total(vec x)
{
#if W == 16
    return _mm512_reduce_add_ps((__m512)x);
#else
    return W == 4 ? (x[0] + x[2]) + (x[1] + x[3])
                  : ((x[0] + x[W - 4]) + (x[1] + x[W - 3])) + ((x[2] + x[W - 2]) + (x[3] + x[W - 1]));
#endif
}

// Gradient of y = u / rms(u) for one row: du = (dy - y mean(y dy)) / rms(u).
INLINE void norm_grad_row(const float *y, const float *dy, float rinv, float *du, long c)
{
    vec dot = {0};
    for (long k = 0; k < c; k += W) dot += some(y + k, c - k) * some(dy + k, c - k);
    float mean = total(dot) / (float)c;
    for (long k = 0; k < c; k += W) put(du + k, (some(dy + k, c - k) - some(y + k, c - k) * mean) * rinv, c - k);
}

// y = u / rms(u) for one row; returns 1 / rms(u).
INLINE float norm_row(const float *u, float *y, float eps, long c)
{
    vec square = {0};
    for (long k = 0; k < c; k += W) square += some(u + k, c - k) * some(u + k, c - k);
    float rinv = 1.0f / sqrtf(total(square) / (float)c + eps);
    for (long k = 0; k < c; k += W) put(y + k, some(u + k, c - k) * rinv, c - k);
    return rinv;
}

// ------------------------------------------------------------------------------------------------------------- memory

// Scratch memory of one thread, in floats. It is laid out twice: first to learn the size, with at == NULL.
typedef struct {
    float *at;
    long used;
} arena;

INLINE float *take(arena *a, long rows, long ld)
{
    long from = a->used;
    a->used += round_up((rows + SPARE) * ld, 16);
    return a->at ? a->at + from : NULL;
}

// The same, filled with zeros.
INLINE float *take_zeros(arena *a, long rows, long ld)
{
    float *at = take(a, rows, ld);
    return at ? memset(at, 0, (size_t)((rows + SPARE) * ld) * sizeof(float)) : NULL;
}

// Rows from one result to the next where several are stacked: a product writes beyond its last row.
INLINE long stacked(long rows) { return rows + SPARE; }

// Room for a side; none in float32, where the tile is the side.
INLINE side room(arena *a, long rows, long ld)
{
    if (PER == 1) return (side){0};
    return (side){(elem *)take(a, rows, ld), ld};
}
INLINE side left_room(arena *a, long rows, long k) { return room(a, rows, left_leading(k)); }
INLINE side right_room(arena *a, long rows, long n) { return room(a, summed(rows) / PER, leading(n)); }
INLINE side turned_room(arena *a, long rows, long n)
{
#ifdef TILES
    return room(a, n, round_up(rows, 32) / 2 + 16);
#else
    return right_room(a, rows, n);
#endif
}

static float *allocate(const arena *a)
{
    void *memory;
    return posix_memalign(&memory, 64, (size_t)a->used * sizeof(float)) ? NULL : memory;
}

// Copies `rows` rows of c floats into a tile. The rows that pad it to `padded` are zero, so they add to no gradient.
static void load_tile(const float *from, long step, long c, float *tile, long ld, long rows, long padded)
{
    for (long r = 0; r < padded; r++)
        for (long k = 0; k < c; k += W)
            V(tile + r * ld + k) = r < rows ? some(from + r * step + k, c - k) : (vec){0};
}

static void store_tile(const float *tile, long ld, float *to, long c, long rows)
{
    for (long r = 0; r < rows; r++)
        for (long k = 0; k < c; k += W) put(to + r * c + k, CV(tile + r * ld + k), c - k);
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

#define BLOCK 48 // columns of z and dg, at most
// Hidden units whose gates and ups, which are beside each other, make a block of columns.
INLINE long units(long left) { return W == 16 ? 16 : block(left); }

// "Interleaved" means hidden units in groups of UNIT gates and UNIT ups, so that one product gives both halves of a
// unit. A width that is no multiple of UNIT is padded with channels, or units, that are always zero.
typedef struct {
    long c, hid;                        // padded widths
    long kc, kh;                        // the same without padding, where a product sums over them
    side w_in_t, w_in, w_out_t, w_out;  // [c, 2 hid] and [2 hid, c] interleaved, [hid, c], [c, hid]
    float *x, *du, *g, *dz;             // rows of a tile: h, gradient before norm, hidden values, their gradient
    float *z, *dg;                      // one block of columns of a tile; rows are BLOCK apart
    side x_left, x_right, du_left, du_right, g_left, g_turned, dz_left, dz_turned;
    long lc, lh, lz;                    // leading dimensions for c, hid, 2 hid columns
} buffers;

typedef struct {
    float *w_in_t, *w_in, *w_out_t, *w_out; // the weights as tiles
} weights;

static void lay_out(job *q, buffers *s, weights *w, arena *a, int grad)
{
    long c = s->c, hid = s->hid, lc = s->lc, lh = s->lh, lz = s->lz;
    s->x = take(a, TILE, lc), s->g = take(a, TILE, lh), s->z = take(a, TILE, BLOCK);
    s->x_left = left_room(a, TILE, c);
    w->w_in_t = take_zeros(a, c, lz), s->w_in_t = right_room(a, c, 2 * hid);
    if (!grad) {
        s->g_left = left_room(a, TILE, hid);
        w->w_out_t = take_zeros(a, hid, lc), s->w_out_t = right_room(a, hid, c);
        return;
    }
    s->du = take(a, TILE, lc), s->dg = take(a, TILE, BLOCK), s->dz = take(a, TILE, lz);
    s->x_right = right_room(a, TILE, c), s->du_left = left_room(a, TILE, c), s->du_right = right_room(a, TILE, c);
    s->g_turned = turned_room(a, TILE, hid);
    s->dz_left = left_room(a, TILE, 2 * hid), s->dz_turned = turned_room(a, TILE, 2 * hid);
    w->w_out = take_zeros(a, c, lh), s->w_out = right_room(a, c, hid);
    w->w_in = take_zeros(a, 2 * hid, lc), s->w_in = right_room(a, 2 * hid, c);
    q->acc_in = take_zeros(a, 2 * hid, lc), q->acc_out = take_zeros(a, hid, lc);
}

// Where the gate of hidden unit j is among interleaved units; its up is UNIT further on.
INLINE long interleaved(long j) { return j / UNIT * 2 * UNIT + j % UNIT; }

// Allocates the scratch memory of one thread and lays out the weights for the products. Returns 0 if memory ran out.
static int prepare(job *q, buffers *s, int grad)
{
    long c = q->c, hid = q->hid;
    *s = (buffers){.c = round_up(c, UNIT), .hid = round_up(hid, UNIT), .kc = inner(c), .kh = inner(hid)};
    s->lc = leading(s->c), s->lh = leading(s->hid), s->lz = leading(2 * s->hid);
    weights w = {0};
    arena a = {0};
    lay_out(q, s, &w, &a, grad);
    a.at = q->memory = allocate(&a), a.used = 0;
    if (!a.at) return 0;
    lay_out(q, s, &w, &a, grad);
    for (long j0 = 0; j0 < hid; j0 += 8) // eight units at a time, so that transposed rows are written in runs
        for (long k = 0; k < c; k++)
            for (long j = j0; j < j0 + 8; j++) {
                float *to = w.w_in_t + k * s->lz + interleaved(j);
                to[0] = q->w_in[j * c + k], to[UNIT] = q->w_in[(hid + j) * c + k];
            }
    s->w_in_t = right(w.w_in_t, s->lz, s->c, 2 * s->hid, s->w_in_t);
    for (long j = 0; grad && j < hid; j++) {
        load_tile(q->w_in + j * c, c, c, w.w_in + interleaved(j) * s->lc, s->lc, 1, 1);
        load_tile(q->w_in + (hid + j) * c, c, c, w.w_in + (interleaved(j) + UNIT) * s->lc, s->lc, 1, 1);
    }
    if (grad) s->w_in = right(w.w_in, s->lc, 2 * s->hid, s->c, s->w_in);
    if (!q->w_out) return 1;
    if (grad) {
        load_tile(q->w_out, hid, hid, w.w_out, s->lh, c, c);
        s->w_out = right(w.w_out, s->lh, s->c, s->hid, s->w_out);
        return 1;
    }
    for (long j = 0; j < hid; j++)
        for (long k = 0; k < c; k++) w.w_out_t[j * s->lc + k] = q->w_out[k * hid + j];
    s->w_out_t = right(w.w_out_t, s->lc, s->hid, s->c, s->w_out_t);
    return 1;
}

// One of several matrices with c rows each, stacked in a right side.
INLINE side matrix_of(side stack, long number, long c)
{
    return (side){stack.at + number * c / PER * stack.ld, stack.ld};
}

// Some columns of a right side.
INLINE side columns(side b, long first) { return (side){b.at + first, b.ld}; }

// For hidden units j to j + w of a tile: their values g and, with grad, the gradient dz of the pre-activations from dg.
INLINE void gate(const buffers *s, long j, long w, long rows, int grad)
{
    for (long r = 0; r < rows; r++)
        for (long i = 0; i < w; i += W) {
            long at = interleaved(i);
            vec gate = CV(s->z + r * BLOCK + at), up = CV(s->z + r * BLOCK + at + UNIT);
            vec sig = sigmoid(gate), silu = gate * sig;
            V(s->g + r * s->lh + j + i) = silu * up;
            if (!grad) continue;
            vec dg = CV(s->dg + r * BLOCK + i);
            V(s->dz + r * s->lz + 2 * j + at) = dg * up * (sig + silu * (1.0f - sig));
            V(s->dz + r * s->lz + 2 * j + at + UNIT) = dg * silu;
        }
}

// The hidden values of a tile whose rows are in s->x and x.
INLINE void gates(const buffers *s, side x, long rows)
{
    for (long j = 0, w; j < s->hid; j += w) {
        w = units(s->hid - j);
        set_product(rows, 2 * w, s->kc, x, columns(s->w_in_t, 2 * j), s->z, BLOCK);
        gate(s, j, w, rows, 0);
    }
}

// dz of a tile of features (hid == c) whose rows are in s->x, and whose gradients are in s->du.
INLINE void features_grad(const buffers *s, long rows)
{
    side x = left(s->x, s->lc, rows, s->c, s->x_left);
    for (long j = 0, w; j < s->c; j += w) {
        w = units(s->c - j);
        set_product(rows, 2 * w, s->kc, x, columns(s->w_in_t, 2 * j), s->z, BLOCK);
        load_tile(s->du + j, s->lc, w, s->dg, BLOCK, rows, rows);
        gate(s, j, w, rows, 1);
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

// What the jobs of the mixers begin with: the puzzles, boards or examples [first, last) of one thread, and its scratch
// memory.
typedef struct {
    long first, last;
    int failed;
    float *memory, *gate_memory;
} range;

static __attribute__((unused)) void release(void *parts, size_t size, int threads)
{
    for (int t = 0; t < threads; t++) {
        range *own = (range *)((char *)parts + (size_t)t * size);
        free(own->memory), free(own->gate_memory);
    }
}

// One range of units per thread, each a copy of the job `all` of `size` bytes. Returns the number of ranges, or 0 if
// memory ran out (then all memory is freed).
static __attribute__((unused)) int run_ranges(void *(*work)(void *), const void *all, void *parts, size_t size,
                                              long units, int threads)
{
    int failed = 0;
    threads = threads < 1 || units < 1 ? 1 : (int)min_long(min_long(threads, MAX_THREADS), units);
    for (int t = 0; t < threads; t++) {
        range *own = memcpy((char *)parts + (size_t)t * size, all, size);
        own->first = units * t / threads, own->last = units * (t + 1) / threads;
    }
    in_threads(work, parts, size, threads);
    for (int t = 0; t < threads; t++) failed |= ((range *)((char *)parts + (size_t)t * size))->failed;
    if (failed) release(parts, size, threads);
    return failed ? 0 : threads;
}

// dmaps [maps, c, c]: the sum of the stacked gradients of maps over all ranges.
static __attribute__((unused)) void sum_maps(const float *const *acc, int count, float *dmaps, long maps, long c)
{
    long padded = round_up(c, UNIT), ld = leading(padded);
    for (long i = 0; i < maps; i++)
        for (long j = 0; j < c * c; j++) {
            float sum = 0;
            for (int t = 0; t < count; t++) sum += acc[t][(i * stacked(padded) + j / c) * ld + j % c];
            dmaps[i * c * c + j] = sum;
        }
}

// dw [2 hid, c], gates before ups: the sum of the interleaved gradients of w_in over all ranges.
static void sum_in(const float *const *acc, int count, float *dw, long hid, long c)
{
    long ld = leading(round_up(c, UNIT));
    for (long j = 0; j < hid; j++)
        for (long k = 0; k < c; k++) {
            float gate = 0, up = 0;
            for (int t = 0; t < count; t++) {
                const float *at = acc[t] + interleaved(j) * ld + k;
                gate += at[0], up += at[UNIT * ld];
            }
            dw[j * c + k] = gate, dw[(hid + j) * c + k] = up;
        }
}
