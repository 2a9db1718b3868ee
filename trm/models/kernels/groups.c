// The `groups` mixer as one kernel: y = rms_norm(h + mapped sums over groups of the gated features of h). groups.py
// defines the operation. The sums and gradients of a puzzle stay in the second-level cache.

#include "fused.h"

// The arguments of a call and the puzzles [first, last) of one thread. dy == NULL: the forward pass.
//
// The sums of a puzzle ("pool") have groups * symbols rows, kind by kind and group by group, then one row per cell, the
// sum over its symbols. Map m applies to the rows [rows_of[m], rows_of[m + 1]): a map per kind, and the last for cells.
typedef struct {
    range own;
    const float *h, *w_in, *maps, *y, *rinv, *pool_in, *dy;
    float *out, *out_rinv, *out_pool, *dh;
    const int *start, *group; // the groups of cell i are group[start[i]] .. group[start[i + 1] - 1]
    const int *rows_of;
    long cells, symbols, c, count; // count: number of maps
    float eps;
    float *acc_in, *acc_maps; // scratch; gradients of w_in (interleaved) and of the maps
} mix_job;

typedef struct {
    float *pool, *turned, *grad, *du, *row;
    side maps;                               // [count][c, c]
    side pool_left, pool_right, grad_turned; // pool_left: of the gradient in the backward pass
    long c, ld, rows;                        // padded width, leading dimension, rows of a pool
} mix_buffers;

// Returns the maps as a tile.
static float *lay_out_mix(mix_job *q, mix_buffers *m, arena *a, int grad)
{
    long largest = 0, places = q->cells * q->symbols;
    for (long i = 0; i < q->count; i++) {
        long rows = q->rows_of[i + 1] - q->rows_of[i];
        largest = rows > largest ? rows : largest;
    }
    float *maps = take_zeros(a, q->count * m->c, m->ld);
    m->maps = right_room(a, q->count * m->c, m->c);
    m->pool = take(a, m->rows, m->ld), m->turned = take(a, m->rows, m->ld), m->row = take(a, 1, m->ld);
    m->pool_left = left_room(a, m->rows, m->c);
    if (!grad) return maps;
    m->grad = take(a, m->rows, m->ld);
    m->du = (q->c < m->c ? take_zeros : take)(a, places, m->ld); // the padding stays as it is
    m->pool_right = right_room(a, largest, m->c), m->grad_turned = turned_room(a, largest, m->c);
    q->acc_maps = take_zeros(a, q->count * stacked(m->c), m->ld);
    return maps;
}

static int prepare_mix(mix_job *q, mix_buffers *m, job *gates, buffers *s)
{
    long c = q->c;
    int grad = q->dy != NULL;
    *gates = (job){.h = q->h, .w_in = q->w_in, .c = c, .hid = c};
    if (!prepare(gates, s, grad)) return 0;
    q->own.gate_memory = gates->memory, q->acc_in = gates->acc_in;
    arena a = {0};
    *m = (mix_buffers){.c = s->c, .ld = s->lc, .rows = q->rows_of[q->count]};
    lay_out_mix(q, m, &a, grad);
    a.at = q->own.memory = allocate(&a), a.used = 0;
    if (!a.at) return 0;
    float *maps = lay_out_mix(q, m, &a, grad);
    for (long i = 0; i < q->count; i++)
        for (long out = 0; out < c; out++)
            for (long in = 0; in < c; in++) // forward: a b needs [in, out]
                maps[(i * m->c + (grad ? out : in)) * m->ld + (grad ? in : out)] = q->maps[(i * c + out) * c + in];
    m->maps = right(maps, m->ld, q->count * m->c, m->c, m->maps); // c is even: a map's pairs are its own
    return 1;
}

// A (cell, symbol) pair, as rows go through them.
typedef struct {
    long cell, symbol;
} place;

INLINE place place_of(const mix_job *q, long row) { return (place){row / q->symbols, row % q->symbols}; }

INLINE place next(const mix_job *q, place at)
{
    return at.symbol + 1 < q->symbols ? (place){at.cell, at.symbol + 1} : (place){at.cell + 1, 0};
}

// The sums of a cell over its symbols, and those of a symbol over the group number `entry` in the list of all cells.
INLINE float *own_sum(const mix_job *q, const mix_buffers *m, float *pool, place at)
{
    return pool + (q->rows_of[q->count - 1] + at.cell) * m->ld;
}
INLINE float *group_sum(const mix_job *q, const mix_buffers *m, float *pool, place at, int entry)
{
    return pool + (q->group[entry] * q->symbols + at.symbol) * m->ld;
}

// Adds one row of a puzzle to its sums.
INLINE void scatter(const mix_job *q, const mix_buffers *m, const float *row, place at, float *pool)
{
    float *own = own_sum(q, m, pool, at);
    for (long k = 0; k < m->c; k += W) V(own + k) += CV(row + k);
    for (int i = q->start[at.cell]; i < q->start[at.cell + 1]; i++) {
        float *sum = group_sum(q, m, pool, at, i);
        for (long k = 0; k < m->c; k += W) V(sum + k) += CV(row + k);
    }
}

// row = from + all sums of a (cell, symbol). `from`, in the caller's memory, may be NULL (zero). Up to WIDTH vectors
// are kept in registers.
#define WIDTH 4
INLINE void gather(const mix_job *q, const mix_buffers *m, place at, const float *from, float *row)
{
    const float *own = own_sum(q, m, m->turned, at);
    for (long k0 = 0; k0 < m->c; k0 += WIDTH * W) {
        vec sum[WIDTH] = {{0}};
        int count = (int)min_long(WIDTH, (m->c - k0) / W);
        EACH(j, WIDTH) if (j < count) {
            long k = k0 + j * W;
            sum[j] = (from ? some(from + k, q->c - k) : (vec){0}) + CV(own + k);
        }
        for (int i = q->start[at.cell]; i < q->start[at.cell + 1]; i++) {
            const float *part = group_sum(q, m, m->turned, at, i) + k0;
            EACH(j, WIDTH) if (j < count) sum[j] += CV(part + j * W);
        }
        EACH(j, WIDTH) if (j < count) V(row + k0 + j * W) = sum[j];
    }
}

// m->turned = the pool times its map, kind by kind. The order matters: a product may write into the rows of the next
// kind.
static void turn(const mix_job *q, const mix_buffers *m, float *pool)
{
    side all = left(pool, m->ld, m->rows, m->c, m->pool_left);
    for (long i = 0; i < q->count; i++) {
        long first = q->rows_of[i], rows = q->rows_of[i + 1] - first;
        side from = {all.at + first * all.ld, all.ld};
        set_product(rows, m->c, inner(q->c), from, matrix_of(m->maps, i, m->c), m->turned + first * m->ld, m->ld);
    }
}

static void mix_forward(const mix_job *q, const mix_buffers *m, const buffers *s, long puzzle)
{
    long c = q->c, all = q->cells * q->symbols, from = puzzle * all;
    const float *h = q->h + from * c;
    memset(m->pool, 0, (size_t)(m->rows * m->ld) * sizeof(float));
    for (long r0 = 0; r0 < all; r0 += TILE) {
        long rows = min_long(TILE, all - r0), padded = round_up(rows, ROWS);
        load_tile(h + r0 * c, c, c, s->x, s->lc, rows, padded);
        gates(s, left(s->x, s->lc, padded, s->c, s->x_left), padded);
        place at = place_of(q, r0);
        for (long r = 0; r < rows; r++, at = next(q, at)) scatter(q, m, s->g + r * s->lh, at, m->pool);
    }
    if (q->out_pool) store_tile(m->pool, m->ld, q->out_pool + puzzle * m->rows * c, c, m->rows);
    turn(q, m, m->pool);
    place at = {0, 0};
    for (long r = 0; r < all; r++, at = next(q, at)) {
        gather(q, m, at, h + r * c, m->row);
        float rinv = norm_row(m->row, q->out + (from + r) * c, q->eps, c);
        if (q->out_rinv) q->out_rinv[from + r] = rinv;
    }
}

// The gradients of the maps from that of the sums, m->grad, and the sums, which were saved, since they are small.
static void maps_backward(const mix_job *q, const mix_buffers *m, long puzzle)
{
    load_tile(q->pool_in + puzzle * m->rows * q->c, q->c, q->c, m->pool, m->ld, m->rows, m->rows);
    for (long i = 0; i < q->count; i++) {
        long first = q->rows_of[i] * m->ld, rows = q->rows_of[i + 1] - q->rows_of[i];
        side grad = turned(m->grad + first, m->ld, rows, m->c, m->grad_turned);
        side pool = right(m->pool + first, m->ld, rows, m->c, m->pool_right);
        add_product_t(inner(q->c), m->c, summed(rows), grad, pool, q->acc_maps + i * stacked(m->c) * m->ld, m->ld);
    }
}

// The pre-activations are recomputed from h, as in fused.c.
static void mix_backward(const mix_job *q, const mix_buffers *m, const buffers *s, long puzzle)
{
    long c = q->c, all = q->cells * q->symbols, from = puzzle * all;
    const float *h = q->h + from * c;
    memset(m->grad, 0, (size_t)(m->rows * m->ld) * sizeof(float));
    place at = {0, 0};
    for (long r = 0; r < all; r++, at = next(q, at)) {
        float *du = m->du + r * m->ld;
        norm_grad_row(q->y + (from + r) * c, q->dy + (from + r) * c, q->rinv[from + r], du, c);
        scatter(q, m, du, at, m->grad);
    }
    maps_backward(q, m, puzzle);
    turn(q, m, m->grad);
    for (long r0 = 0; r0 < all; r0 += TILE) {
        long rows = min_long(TILE, all - r0), padded = round_up(rows, ROWS);
        load_tile(h + r0 * c, c, c, s->x, s->lc, rows, padded);
        load_tile(NULL, 0, c, s->du, s->lc, 0, padded);
        at = place_of(q, r0);
        for (long r = 0; r < rows; r++, at = next(q, at)) gather(q, m, at, NULL, s->du + r * s->lc);
        features_grad(s, padded);
        side dz = turned(s->dz, s->lz, padded, 2 * s->c, s->dz_turned);
        add_product_t(2 * s->c, s->c, padded, dz, right(s->x, s->lc, padded, s->c, s->x_right), q->acc_in, s->lc);
        load_tile(m->du + r0 * m->ld, m->ld, s->c, s->du, s->lc, rows, padded);
        dz = left(s->dz, s->lz, padded, 2 * s->c, s->dz_left);
        add_product(padded, s->c, 2 * s->c, dz, s->w_in, s->du, s->lc);
        store_tile(s->du, s->lc, q->dh + (from + r0) * c, c, rows);
    }
}

static void *mix_range(void *arg)
{
    mix_job *q = arg;
    mix_buffers m = {0};
    buffers s = {0};
    job gates;
    if (!prepare_mix(q, &m, &gates, &s)) return q->own.failed = 1, NULL;
    open_tiles();
    for (long puzzle = q->own.first; puzzle < q->own.last; puzzle++)
        q->dy ? mix_backward(q, &m, &s, puzzle) : mix_forward(q, &m, &s, puzzle);
    close_tiles();
    return NULL;
}

// Both return 0, or 1 if memory ran out. out_rinv and out_pool may be NULL.
int trm_mix(const float *h, const float *w_in, const float *maps, float *out, float *out_rinv, float *out_pool,
            const int *start, const int *group, const int *rows_of, long puzzles,
            long cells, long symbols, long c, long count, float eps, int threads)
{
    mix_job part[MAX_THREADS], all = {.h = h, .w_in = w_in, .maps = maps, .out = out, .out_rinv = out_rinv};
    all.out_pool = out_pool, all.start = start, all.group = group, all.rows_of = rows_of, all.eps = eps;
    all.cells = cells, all.symbols = symbols, all.c = c, all.count = count;
    threads = run_ranges(mix_range, &all, part, sizeof all, puzzles, threads);
    release(part, sizeof all, threads);
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
    threads = run_ranges(mix_range, &all, part, sizeof all, puzzles, threads);
    const float *acc[MAX_THREADS], *acc_maps[MAX_THREADS];
    for (int t = 0; t < threads; t++) acc[t] = part[t].acc_in, acc_maps[t] = part[t].acc_maps;
    if (threads) sum_in(acc, threads, dw_in, c, c), sum_maps(acc_maps, threads, dmaps, count, c);
    release(part, sizeof all, threads);
    return threads == 0;
}
