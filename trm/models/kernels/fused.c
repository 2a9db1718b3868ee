// Fused float32 kernels for the small dense blocks of a recursive model. fused.py defines the operations.

#include "fused.h"

// The work of one thread. The backward pass recomputes the pre-activations from h: in a chain of blocks this is faster
// than writing and reading them (four times the size of h), and saves that memory.
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
        if (q->dh) { // added to du, the gradient of the residual
            add_product(padded, c, 2 * hid, s.dz, s.lz, s.w_in, s.lc, s.du, s.lc);
            store_tile(s.du, s.lc, q->dh + r0 * c, c, rows);
        }
        if (!grad && !q->w_out) store_tile(s.g, s.lh, q->out + r0 * hid, hid, rows);
        if (grad || !q->w_out) continue;
        add_product(padded, c, hid, s.g, s.lh, s.w_out_t, s.lc, s.x, s.lc); // added to h, the residual
        for (long r = 0; r < rows; r++) {
            float rinv = norm_row(s.x + r * s.lc, q->out + (r0 + r) * c, q->eps, c);
            if (q->out_rinv) q->out_rinv[r0 + r] = rinv;
        }
    }
    return NULL;
}

// Splits the rows into ranges of whole tiles, one per thread. For a few hundred rows a thread costs more than it saves.
// Returns the number of ranges, or 0 if memory ran out.
static int run(const job *all, job *part, int threads)
{
    int failed = 0;
    long tiles = (all->last + TILE - 1) / TILE, most = min_long(MAX_THREADS, tiles / 8);
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
            for (int t = 0; t < threads; t++) out += part[t].acc_out[j * leading(c) + k];
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
        for (long k = 0; k < q->c; k += W) U(out + k) = CU(gate + k) * sigmoid(CU(gate + k)) * CU(up + k);
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
            vec x = CU(gate + k), sig = sigmoid(x), silu = x * sig, dg = CU(grad + k), factor = CU(up + k);
            U(again + k) = silu * factor;
            U(dup + k) = dg * silu;
            U(dgate + k) = dg * factor * (sig + silu * (1.0f - sig));
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
        for (long k = 0; k < c; k += W) U(y + k) = CU(q->a + r * c + k) + CU(q->b + r * c + k);
        for (long k = 0; q->third && k < c; k += W) U(y + k) += CU(q->third + r / q->group * c + k);
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
