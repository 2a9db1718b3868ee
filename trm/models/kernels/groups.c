// The `groups` mixer as one kernel: y = rms_norm(h + mapped sums over groups of the gated features of h). groups.py
// defines the operation. The sums and gradients of a puzzle stay in the second-level cache.

#include "fused.h"

// The arguments of a call and the puzzles [first, last) of one thread. dy == NULL: the forward pass.
//
// The sums of a puzzle ("pool") have groups * symbols rows, kind by kind and group by group, then one row per cell, the
// sum over its symbols. Map m applies to the rows [rows_of[m], rows_of[m + 1]): a map per kind, and the last for cells.
typedef struct {
    const float *h, *w_in, *maps, *y, *rinv, *pool_in, *dy;
    float *out, *out_rinv, *out_pool, *dh;
    const int *start, *group; // the groups of cell i are group[start[i]] .. group[start[i + 1] - 1]
    const int *rows_of;
    long first, last, cells, symbols, c, count; // count: number of maps
    float eps;
    int failed;
    float *memory, *gate_memory, *acc_in, *acc_maps; // scratch; gradients of w_in (interleaved) and of the maps
} mix_job;

typedef struct {
    float *maps, *pool, *turned, *grad, *du;
    long ld, rows; // leading dimension; rows of a pool
} mix_buffers;

static int prepare_mix(mix_job *q, mix_buffers *m, job *gates, buffers *s)
{
    long c = q->c, ld = c % 32 ? c : c + 8, grad = q->dy != NULL, rows = q->rows_of[q->count];
    long size = (2 * q->count * (c + 6) + 3 * (rows + 6) + q->cells * q->symbols + 6) * ld * (long)sizeof(float);
    *gates = (job){.h = q->h, .w_in = q->w_in, .c = c, .hid = c};
    if (!prepare(gates, s, (int)grad)) return 0;
    q->gate_memory = gates->memory, q->acc_in = gates->acc_in;
    if (posix_memalign((void **)&q->memory, 64, (size_t)size)) return 0;
    memset(q->memory, 0, (size_t)size);
    float *at = q->memory;
    *m = (mix_buffers){.ld = ld, .rows = rows};
    m->maps = take(&at, q->count * (c + 6) - 6, ld), q->acc_maps = take(&at, q->count * (c + 6) - 6, ld);
    m->pool = take(&at, rows, ld), m->turned = take(&at, rows, ld), m->grad = take(&at, rows, ld);
    m->du = take(&at, q->cells * q->symbols, ld);
    for (long i = 0; i < q->count; i++)
        for (long out = 0; out < c; out++)
            for (long in = 0; in < c; in++) // forward: a^T b needs [in, out]
                m->maps[i * (c + 6) * ld + (grad ? out * ld + in : in * ld + out)] = q->maps[(i * c + out) * c + in];
    return 1;
}

// Adds one row of a puzzle, number cell * symbols + symbol, to its sums.
INLINE void scatter(const mix_job *q, const float *row, long place, float *pool, long ld)
{
    long cell = place / q->symbols, symbol = place % q->symbols;
    float *own = pool + (q->rows_of[q->count - 1] + cell) * ld;
    for (long k = 0; k < q->c; k += W) V(own + k) += CV(row + k);
    for (int i = q->start[cell]; i < q->start[cell + 1]; i++) {
        float *sum = pool + (q->group[i] * q->symbols + symbol) * ld;
        for (long k = 0; k < q->c; k += W) V(sum + k) += CV(row + k);
    }
}

// row = from + all sums of (cell, symbol). `from` may be NULL (zero), and need not be aligned.
INLINE void gather(const mix_job *q, const float *pool, long ld, long place, const float *from, float *row)
{
    long cell = place / q->symbols, symbol = place % q->symbols;
    const float *own = pool + (q->rows_of[q->count - 1] + cell) * ld;
    for (long k = 0; k < q->c; k += W) U(row + k) = (from ? (vec)CU(from + k) : (vec){0}) + CV(own + k);
    for (int i = q->start[cell]; i < q->start[cell + 1]; i++) {
        const float *sum = pool + (q->group[i] * q->symbols + symbol) * ld;
        for (long k = 0; k < q->c; k += W) U(row + k) += CV(sum + k);
    }
}

// to = from times its map, kind by kind. The order matters: a product may write into the rows of the next kind.
static void turn(const mix_job *q, const mix_buffers *m, const float *from, float *to)
{
    for (long i = 0; i < q->count; i++) {
        long first = q->rows_of[i], rows = q->rows_of[i + 1] - first;
        set_product(rows, q->c, q->c, from + first * m->ld, m->ld, m->maps + i * (q->c + 6) * m->ld, m->ld,
                    to + first * m->ld, m->ld);
    }
}

static void mix_forward(const mix_job *q, const mix_buffers *m, const buffers *s, long puzzle)
{
    long c = q->c, ld = m->ld, all = q->cells * q->symbols, from = puzzle * all;
    const float *h = q->h + from * c;
    memset(m->pool, 0, (size_t)(m->rows * ld) * sizeof(float));
    for (long r0 = 0; r0 < all; r0 += TILE) {
        long rows = min_long(TILE, all - r0), padded = round_up(rows, 12);
        load_tile(h + r0 * c, c, c, s->x, s->lc, rows, padded);
        for (long j = 0, w; j < c; j += w) {
            w = block(c - j);
            set_product(padded, 2 * w, c, s->x, s->lc, s->w_in_t + 2 * j, s->lz, s->z, 48);
            gate(s, j, w, padded, 0);
        }
        for (long r = 0; r < rows; r++) scatter(q, s->g + r * s->lh, r0 + r, m->pool, ld);
    }
    if (q->out_pool) store_tile(m->pool, ld, q->out_pool + puzzle * m->rows * c, c, m->rows);
    turn(q, m, m->pool, m->turned);
    for (long r = 0; r < all; r++) {
        float *y = q->out + (from + r) * c;
        gather(q, m->turned, ld, r, h + r * c, y);
        float rinv = norm_row(y, y, q->eps, c);
        if (q->out_rinv) q->out_rinv[from + r] = rinv;
    }
}

// The pre-activations are recomputed from h, as in fused.c. The sums were saved, since they are small.
static void mix_backward(const mix_job *q, const mix_buffers *m, const buffers *s, long puzzle)
{
    long c = q->c, ld = m->ld, all = q->cells * q->symbols, from = puzzle * all;
    const float *h = q->h + from * c;
    memset(m->grad, 0, (size_t)(m->rows * ld) * sizeof(float));
    for (long r = 0; r < all; r++) {
        long at = from + r;
        norm_grad_row(q->y + at * c, q->dy + at * c, q->rinv[at], m->du + r * ld, c);
        scatter(q, m->du + r * ld, r, m->grad, ld);
    }
    load_tile(q->pool_in + puzzle * m->rows * c, c, c, m->pool, ld, m->rows, m->rows);
    for (long i = 0; i < q->count; i++) {
        long first = q->rows_of[i], rows = q->rows_of[i + 1] - first;
        float *acc = q->acc_maps + i * (c + 6) * ld;
        add_product_t(c, c, rows, m->grad + first * ld, ld, m->pool + first * ld, ld, acc, ld);
    }
    turn(q, m, m->grad, m->turned);
    for (long r0 = 0; r0 < all; r0 += TILE) {
        long rows = min_long(TILE, all - r0), padded = round_up(rows, 12);
        load_tile(h + r0 * c, c, c, s->x, s->lc, rows, padded);
        load_tile(NULL, 0, c, s->du, s->lc, 0, padded);
        for (long r = 0; r < rows; r++)
            gather(q, m->turned, ld, r0 + r, NULL, s->du + r * s->lc);
        for (long j = 0, w; j < c; j += w) {
            w = block(c - j);
            set_product(padded, 2 * w, c, s->x, s->lc, s->w_in_t + 2 * j, s->lz, s->z, 48);
            load_tile(s->du + j, s->lc, w, s->dg, 48, padded, padded);
            gate(s, j, w, padded, 1);
        }
        add_product_t(2 * c, c, padded, s->dz, s->lz, s->x, s->lc, q->acc_in, s->lc);
        load_tile(m->du + r0 * ld, ld, c, s->du, s->lc, rows, padded);
        add_product(padded, c, 2 * c, s->dz, s->lz, s->w_in, s->lc, s->du, s->lc);
        store_tile(s->du, s->lc, q->dh + (from + r0) * c, c, rows);
    }
}

static void *mix_range(void *arg)
{
    mix_job *q = arg;
    mix_buffers m = {0};
    buffers s = {0};
    job gates;
    if (!prepare_mix(q, &m, &gates, &s)) return q->failed = 1, NULL;
    for (long puzzle = q->first; puzzle < q->last; puzzle++)
        q->dy ? mix_backward(q, &m, &s, puzzle) : mix_forward(q, &m, &s, puzzle);
    return NULL;
}

// One range of puzzles per thread. Returns the number of ranges, or 0 if memory ran out (then all memory is freed).
static int run_mix(const mix_job *all, mix_job *part, long puzzles, int threads)
{
    int failed = 0;
    threads = threads < 1 ? 1 : (int)min_long(min_long(threads, MAX_THREADS), puzzles);
    for (int t = 0; t < threads; t++) {
        part[t] = *all;
        part[t].first = puzzles * t / threads, part[t].last = puzzles * (t + 1) / threads;
    }
    in_threads(mix_range, part, sizeof(mix_job), threads);
    for (int t = 0; t < threads; t++) failed |= part[t].failed;
    for (int t = 0; failed && t < threads; t++) free(part[t].memory), free(part[t].gate_memory);
    return failed ? 0 : threads;
}

// Both return 0, or 1 if memory ran out. out_rinv and out_pool may be NULL.
int trm_mix(const float *h, const float *w_in, const float *maps, float *out, float *out_rinv, float *out_pool,
            const int *start, const int *group, const int *rows_of, long puzzles,
            long cells, long symbols, long c, long count, float eps, int threads)
{
    mix_job part[MAX_THREADS], all = {.h = h, .w_in = w_in, .maps = maps, .out = out, .out_rinv = out_rinv};
    all.out_pool = out_pool, all.start = start, all.group = group, all.rows_of = rows_of, all.eps = eps;
    all.cells = cells, all.symbols = symbols, all.c = c, all.count = count;
    threads = run_mix(&all, part, puzzles, threads);
    for (int t = 0; t < threads; t++) free(part[t].memory), free(part[t].gate_memory);
    return threads == 0;
}

int trm_mix_grad(const float *h, const float *w_in, const float *maps, const float *y, const float *rinv,
                 const float *pool, const float *dy, float *dh, float *dw_in, float *dmaps, const int *start,
                 const int *group, const int *rows_of, long puzzles, long cells,
                 long symbols, long c, long count, int threads)
{
    mix_job part[MAX_THREADS], all = {.h = h, .w_in = w_in, .maps = maps, .y = y, .rinv = rinv, .pool_in = pool};
    all.dy = dy, all.dh = dh, all.start = start, all.group = group, all.rows_of = rows_of;
    all.cells = cells, all.symbols = symbols, all.c = c, all.count = count;
    threads = run_mix(&all, part, puzzles, threads);
    long ld = c % 32 ? c : c + 8;
    const float *acc[MAX_THREADS];
    for (int t = 0; t < threads; t++) acc[t] = part[t].acc_in;
    if (threads) sum_in(acc, threads, dw_in, c, c);
    for (long i = 0; threads && i < count; i++)
        for (long j = 0; j < c * c; j++) {
            float sum = 0;
            for (int t = 0; t < threads; t++) sum += part[t].acc_maps[(i * (c + 6) + j / c) * ld + j % c];
            dmaps[i * c * c + j] = sum;
        }
    for (int t = 0; t < threads; t++) free(part[t].memory), free(part[t].gate_memory);
    return threads == 0;
}
