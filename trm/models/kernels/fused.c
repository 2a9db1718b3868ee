// Fused kernels for the small dense blocks of a recursive model. fused.py defines the operations.

#define _GNU_SOURCE
#include "fused.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef TILES
#include <sys/syscall.h>
#include <unistd.h>
#endif

// The work of one thread. The backward pass recomputes the pre-activations from h: in a chain of blocks this is faster
// than writing and reading them (four times the size of h), and saves that memory.
static void block_tile(const job *q, const buffers *s, long r0, long rows)
{
    long c = q->c, hid = q->hid, padded = round_up(rows, ROWS);
    load_tile(q->h + r0 * c, c, c, s->x, s->lc, rows, padded);
    gates(s, left(s->x, s->lc, padded, s->c, s->x_left), padded);
    if (!q->w_out) {
        store_tile(s->g, s->lh, q->out + r0 * hid, hid, rows);
        return;
    }
    // Added to h, the residual.
    add_product(padded, s->c, s->kh, left(s->g, s->lh, padded, s->hid, s->g_left), s->w_out_t, s->x, s->lc);
    for (long r = 0; r < rows; r++) {
        float rinv = norm_row(s->x + r * s->lc, q->out + (r0 + r) * c, q->eps, c);
        if (q->out_rinv) q->out_rinv[r0 + r] = rinv;
    }
}

static void block_grad_tile(const job *q, const buffers *s, long r0, long rows)
{
    long c = q->c, hid = q->hid, padded = round_up(rows, ROWS);
    load_tile(q->h + r0 * c, c, c, s->x, s->lc, rows, padded);
    load_tile(NULL, 0, c, s->du, s->lc, 0, padded);
    for (long r = 0; q->w_out && r < rows; r++)
        norm_grad_row(q->y + (r0 + r) * c, q->dy + (r0 + r) * c, q->rinv[r0 + r], s->du + r * s->lc, c);
    side x = left(s->x, s->lc, padded, s->c, s->x_left), du = left(s->du, s->lc, padded, s->c, s->du_left);
    for (long j = 0, w; j < s->hid; j += w) {
        w = units(s->hid - j);
        set_product(padded, 2 * w, s->kc, x, columns(s->w_in_t, 2 * j), s->z, BLOCK);
        if (q->w_out) set_product(padded, w, s->kc, du, columns(s->w_out, j), s->dg, BLOCK);
        else load_tile(q->dy + r0 * hid + j, hid, min_long(w, hid - j), s->dg, BLOCK, rows, padded);
        gate(s, j, w, padded, 1);
    }
    if (q->want_dw) {
        side dz = turned(s->dz, s->lz, padded, 2 * s->hid, s->dz_turned);
        add_product_t(2 * s->hid, s->c, padded, dz, right(s->x, s->lc, padded, s->c, s->x_right), q->acc_in, s->lc);
    }
    if (q->want_dw && q->w_out) {
        side g = turned(s->g, s->lh, padded, s->hid, s->g_turned);
        add_product_t(s->kh, s->c, padded, g, right(s->du, s->lc, padded, s->c, s->du_right), q->acc_out, s->lc);
    }
    if (!q->dh) return;
    side dz = left(s->dz, s->lz, padded, 2 * s->hid, s->dz_left);
    add_product(padded, s->c, 2 * s->hid, dz, s->w_in, s->du, s->lc); // added to du, the gradient of the residual
    store_tile(s->du, s->lc, q->dh + r0 * c, c, rows);
}

static void *block_range(void *arg)
{
    job *q = arg;
    buffers s;
    if (!prepare(q, &s, q->dy != NULL)) return q->failed = 1, NULL;
    open_tiles();
    const long step = q->dy ? TILE : 48; // without gradients a smaller tile is faster
    for (long r0 = q->first; r0 < q->last; r0 += step)
        (q->dy ? block_grad_tile : block_tile)(q, &s, r0, min_long(step, q->last - r0));
    close_tiles();
    return NULL;
}

// Splits the rows into ranges of whole tiles, one per thread. For a few hundred rows a thread costs more than it saves.
// Returns the number of ranges, or 0 if memory ran out.
static int run(const job *all, job *part, int threads)
{
    int failed = 0;
    long tiles = (all->last + TILE - 1) / TILE, most = min_long(MAX_THREADS, tiles * TILE / 384);
    threads = threads < 1 || most < 1 ? 1 : (int)min_long(threads, most);
    for (int t = 0; t < threads; t++) {
        part[t] = *all;
        part[t].first = min_long(all->last, tiles * t / threads * TILE);
        part[t].last = min_long(all->last, tiles * (t + 1) / threads * TILE);
    }
    in_threads(block_range, part, sizeof(job), threads);
    for (int t = 0; t < threads; t++) failed |= part[t].failed;
    for (int t = 0; failed && t < threads; t++) free(part[t].memory);
    return failed ? 0 : threads;
}

// Both return 0, or 1 if memory ran out. out_rinv, dh and the weight gradients may be NULL.
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
    const float *acc[MAX_THREADS];
    for (int t = 0; t < threads; t++) acc[t] = part[t].acc_in;
    if (threads && dw_in) sum_in(acc, threads, dw_in, hid, c);
    for (long j = 0; threads && dw_out && j < hid; j++)
        for (long k = 0; k < c; k++) {
            float out = 0;
            for (int t = 0; t < threads; t++) out += part[t].acc_out[j * leading(round_up(c, UNIT)) + k];
            dw_out[k * hid + j] = out;
        }
    for (int t = 0; t < threads; t++) free(part[t].memory);
    return threads == 0;
}

// -------------------------------------------------------------------------------------------------------- elementwise

// The arguments of a call and the units [first, last) of one thread. A unit is a row, or a group of rows.
typedef struct {
    const float *a, *b, *third, *rinv;
    float *out, *other;
    long first, last, group, c;
    float eps;
} rows_job;

// Runs `work` on all units, in ranges of at least SHARE floats per thread. Results do not depend on the ranges.
#define SHARE 65536
static void spread(void *(*work)(void *), rows_job all, long units, long floats, int threads)
{
    rows_job part[MAX_THREADS];
    long most = min_long(min_long(MAX_THREADS, units), units * floats / SHARE);
    threads = threads < 1 || most < 1 ? 1 : (int)min_long(threads, most);
    for (int t = 0; t < threads; t++) {
        part[t] = all;
        part[t].first = units * t / threads, part[t].last = units * (t + 1) / threads;
    }
    in_threads(work, part, sizeof(rows_job), threads);
}

// Rows of a hold c gates and c ups; out = silu(gate) * up.
static void *gate_rows(void *arg)
{
    rows_job *q = arg;
    for (long r = q->first; r < q->last; r++) {
        const float *gate = q->a + r * 2 * q->c, *up = gate + q->c;
        float *out = q->out + r * q->c;
        for (long k = 0; k < q->c; k += W) {
            vec x = some(gate + k, q->c - k);
            put(out + k, x * sigmoid(x) * some(up + k, q->c - k), q->c - k);
        }
    }
    return NULL;
}

// b = gradient of the result of gate_rows; out = gradient of its input; other = its result, which the caller needs.
static void *gate_grad_rows(void *arg)
{
    rows_job *q = arg;
    for (long r = q->first; r < q->last; r++) {
        const float *gate = q->a + r * 2 * q->c, *up = gate + q->c, *grad = q->b + r * q->c;
        float *dgate = q->out + r * 2 * q->c, *dup = dgate + q->c, *again = q->other + r * q->c;
        for (long k = 0; k < q->c; k += W) {
            long more = q->c - k;
            vec x = some(gate + k, more), dg = some(grad + k, more), factor = some(up + k, more);
            vec sig = sigmoid(x), silu = x * sig;
            put(again + k, silu * factor, more);
            put(dup + k, dg * silu, more);
            put(dgate + k, dg * factor * (sig + silu * (1.0f - sig)), more);
        }
    }
    return NULL;
}

// out = rms_norm(a + b + third); other, unless NULL, = 1 / rms.
static void *add_norm_rows(void *arg)
{
    rows_job *q = arg;
    long c = q->c;
    for (long r = q->first * q->group; r < q->last * q->group; r++) {
        float *y = q->out + r * c;
        for (long k = 0; k < c; k += W) {
            vec sum = some(q->a + r * c + k, c - k) + some(q->b + r * c + k, c - k);
            if (q->third) sum += some(q->third + r / q->group * c + k, c - k);
            put(y + k, sum, c - k);
        }
        float rinv = norm_row(y, y, q->eps, c);
        if (q->other) q->other[r] = rinv;
    }
    return NULL;
}

// a = y, b = dy; out = du; other, unless NULL, = gradient of the third term, whose rows are summed in order.
static void *add_norm_grad_rows(void *arg)
{
    rows_job *q = arg;
    long c = q->c;
    for (long r = q->first * q->group; r < q->last * q->group; r++) {
        float *du = q->out + r * c, *t = q->other + r / q->group * c;
        norm_grad_row(q->a + r * c, q->b + r * c, q->rinv[r], du, c);
        if (!q->other) continue;
        if (r % q->group == 0) memset(t, 0, (size_t)c * sizeof(float));
        for (long k = 0; k < c; k += W) put(t + k, some(t + k, c - k) + some(du + k, c - k), c - k);
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

// third, unless NULL, has one row for each `group` consecutive rows of a and b.
void trm_add_norm(const float *a, const float *b, const float *third, float *y, float *out_rinv, long rows, long group,
                  long c, float eps, int threads)
{
    rows_job all = {.a = a, .b = b, .third = third, .out = y, .other = out_rinv, .group = group, .c = c, .eps = eps};
    spread(add_norm_rows, all, rows / group, group * c, threads);
}

// du is the gradient of both a and b; dthird, unless NULL, is that of the third term.
void trm_add_norm_grad(const float *y, const float *rinv, const float *dy, float *du, float *dthird, long rows,
                       long group, long c, int threads)
{
    rows_job all = {.a = y, .b = dy, .rinv = rinv, .out = du, .other = dthird, .group = group, .c = c};
    spread(add_norm_grad_rows, all, rows / group, group * c, threads);
}

// Called once. Whether the processor's tiles may be used, if they are: Linux wants to be asked.
int trm_ready(void)
{
#ifdef __GLIBC__
    // A step frees a few megabytes and takes as many again. Given back to the system in between, every page would have
    // to be cleared: up to a fifth of the time. Who has chosen otherwise is left alone.
    if (!getenv("MALLOC_TRIM_THRESHOLD_") && !getenv("MALLOC_MMAP_THRESHOLD_") && !getenv("GLIBC_TUNABLES")) {
        mallopt(M_MMAP_THRESHOLD, 32 << 20);
        mallopt(M_TRIM_THRESHOLD, 256 << 20);
    }
#endif
#ifdef TILES
    return !syscall(SYS_arch_prctl, 0x1023, 18); // ARCH_REQ_XCOMP_PERM, XTILEDATA
#else
    return 1;
#endif
}
