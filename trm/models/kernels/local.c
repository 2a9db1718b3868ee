// The `local` mixer as one kernel: y = rms_norm(h + a product with the gated features of a cell and its four
// neighbours). local.py defines the operation.
//
// Boards are treated as one long row of places: after every row of cells comes one empty place, and after every board a
// row of empty places. Their values are zero, so the neighbours of a cell are at four fixed distances and nothing wraps
// around. A tile of new places enters at the end of a window that reaches one row of a board to both sides of its
// centre. So the features of a cell are computed once, and what is read again stays in the first cache levels.

#include "fused.h"

#define PARTS 5 // the cell itself, above, below, left, right

// The arguments of a call and the boards [first, last) of one thread. dy == NULL: the forward pass.
typedef struct {
    range own;
    const float *h, *w_in, *w_around, *y, *rinv, *dy;
    float *out, *out_rinv, *dh;
    long height, width, c;
    float eps;
    float *acc_in, *acc_around; // scratch; gradients of w_in (interleaved) and of each part
    long *cell;                 // for every place in the window: its row of h, or -1 if empty
} local_job;

typedef struct {
    float *window;    // features, or in the backward pass du
    side around;      // weights [PARTS][c, c]
    side left;        // the window for the products
    side du_turned;
    long places, row; // in the window; from a cell to the cell below
    long next, x, y;  // the next place to enter: its row of h, and its column and row on its board
} walk;

// Returns the weights as a tile.
static float *lay_out_local(local_job *q, walk *m, const buffers *s, arena *a, int grad)
{
    float *around = take_zeros(a, PARTS * s->c, s->lc);
    m->around = right_room(a, PARTS * s->c, s->c);
    q->cell = (long *)take(a, m->places, sizeof(long) / sizeof(float));
    m->window = take_zeros(a, m->places, s->lc), m->left = left_room(a, m->places, s->c);
    if (PER > 1 && a->at) memset(m->left.at, 0, (size_t)(m->places * m->left.ld) * sizeof(elem));
    if (grad) q->acc_around = take_zeros(a, PARTS * stacked(s->c), s->lc), m->du_turned = turned_room(a, TILE, s->c);
    if (PER == 1) m->left = (side){(elem *)m->window, s->lc};
    return around;
}

static int prepare_local(local_job *q, walk *m, job *gates, buffers *s)
{
    long c = q->c;
    int grad = q->dy != NULL;
    *m = (walk){.row = q->width + 1, .next = q->own.first * q->height * q->width};
    m->places = 2 * m->row + TILE;
    *gates = (job){.h = q->h, .w_in = q->w_in, .c = c, .hid = c};
    if (!prepare(gates, s, grad)) return 0;
    q->own.gate_memory = gates->memory, q->acc_in = gates->acc_in;
    arena a = {0};
    lay_out_local(q, m, s, &a, grad);
    a.at = q->own.memory = allocate(&a), a.used = 0;
    if (!a.at) return 0;
    float *around = lay_out_local(q, m, s, &a, grad);
    for (long r = 0; r < m->places; r++) q->cell[r] = -1;
    for (long part = 0; part < PARTS; part++)
        for (long out = 0; out < c; out++)
            for (long in = 0; in < c; in++) // forward: a b needs [in, out]
                around[(part * s->c + (grad ? out : in)) * s->lc + (grad ? in : out)] =
                    q->w_around[(out * PARTS + part) * c + in];
    m->around = right(around, s->lc, PARTS * s->c, s->c, m->around);
    return 1;
}

// Moves the window on by a tile. The new places are at the end; their cells are set, their values are not.
static void advance(const local_job *q, walk *m, long lc)
{
    long kept = 2 * m->row, end = q->own.last * q->height * q->width;
    memmove(m->window, m->window + TILE * lc, (size_t)(kept * lc) * sizeof(float));
    if (PER > 1) memmove(m->left.at, m->left.at + TILE * m->left.ld, (size_t)(kept * m->left.ld) * sizeof(elem));
    memmove(q->cell, q->cell + TILE, (size_t)kept * sizeof(long));
    for (long r = kept; r < kept + TILE; r++) {
        int real = m->x < q->width && m->y < q->height && m->next < end;
        q->cell[r] = real ? m->next++ : -1;
        if (++m->x == m->row) m->x = 0, m->y = m->y == q->height ? 0 : m->y + 1;
    }
}

// Makes the new places of the window ready for the products.
static void enter(const walk *m, const buffers *s)
{
    long first = 2 * m->row;
    left(m->window + first * s->lc, s->lc, TILE, s->c, (side){m->left.at + first * m->left.ld, m->left.ld});
}

static void load_places(const float *from, const long *cell, long c, float *tile, long ld)
{
    for (long r = 0; r < TILE; r++)
        for (long k = 0; k < c; k += W)
            V(tile + r * ld + k) = cell[r] < 0 ? (vec){0} : some(from + cell[r] * c + k, c - k);
}

// How many places further on a part of the surroundings of a place is.
INLINE long distance(const walk *m, long part) { return (const long[]){0, -m->row, m->row, -1, 1}[part]; }

// The places of the window that are `distance` from its centre.
INLINE side places(const walk *m, long distance)
{
    return (side){m->left.at + (m->row + distance) * m->left.ld, m->left.ld};
}

INLINE side part_of(const walk *m, const buffers *s, long part) { return matrix_of(m->around, part, s->c); }

static void local_forward(const local_job *q, walk *m, const buffers *s)
{
    long c = q->c, lc = s->lc, end = q->own.last * q->height * q->width;
    const long *fresh = q->cell + 2 * m->row, *centre = q->cell + m->row;
    buffers new = *s; // its features go into the window
    new.g = m->window + 2 * m->row * lc;
    for (long done = q->own.first * q->height * q->width; done < end;) {
        advance(q, m, lc);
        load_places(q->h, fresh, c, s->x, lc);
        gates(&new, left(s->x, lc, TILE, s->c, s->x_left), TILE);
        enter(m, s);
        load_places(q->h, centre, c, s->x, lc);
        for (long part = 0; part < PARTS; part++)
            add_product(TILE, s->c, s->kc, places(m, distance(m, part)), part_of(m, s, part), s->x, lc);
        for (long r = 0; r < TILE; r++) {
            if (centre[r] < 0) continue;
            float rinv = norm_row(s->x + r * lc, q->out + centre[r] * c, q->eps, c);
            if (q->out_rinv) q->out_rinv[centre[r]] = rinv;
            done++;
        }
    }
}

// The gradients of the weights of each part, from the features s->g of the centre and du in the window.
static void around_backward(const local_job *q, const walk *m, const buffers *s)
{
    side g = right(s->g, s->lh, TILE, s->c, s->x_right);
    for (long part = 0; part < PARTS; part++) {
        side du = turned(m->window + (m->row - distance(m, part)) * s->lc, s->lc, TILE, s->c, m->du_turned);
        add_product_t(s->kc, s->c, TILE, du, g, q->acc_around + part * stacked(s->c) * s->lc, s->lc);
    }
}

// The window holds du, the gradient before the norm. The gradient of a cell's features comes from the cells that read
// them, which are in the opposite directions. The features themselves are recomputed.
static void local_backward(const local_job *q, walk *m, const buffers *s)
{
    long c = q->c, lc = s->lc, end = q->own.last * q->height * q->width;
    const long *fresh = q->cell + 2 * m->row, *centre = q->cell + m->row;
    for (long done = q->own.first * q->height * q->width; done < end;) {
        advance(q, m, lc);
        for (long r = 0; r < TILE; r++) {
            float *du = m->window + (2 * m->row + r) * lc;
            if (fresh[r] < 0) memset(du, 0, (size_t)s->c * sizeof(float));
            else norm_grad_row(q->y + fresh[r] * c, q->dy + fresh[r] * c, q->rinv[fresh[r]], du, c);
        }
        enter(m, s);
        load_places(q->h, centre, c, s->x, lc);
        side x = left(s->x, lc, TILE, s->c, s->x_left);
        for (long j = 0, w; j < s->c; j += w) {
            w = units(s->c - j);
            set_product(TILE, 2 * w, s->kc, x, columns(s->w_in_t, 2 * j), s->z, BLOCK);
            for (long part = 0; part < PARTS; part++)
                (part ? add_product : set_product)(TILE, w, s->kc, places(m, -distance(m, part)),
                                                   columns(part_of(m, s, part), j), s->dg, BLOCK);
            gate(s, j, w, TILE, 1);
        }
        around_backward(q, m, s);
        side dz = turned(s->dz, s->lz, TILE, 2 * s->c, s->dz_turned);
        add_product_t(2 * s->c, s->c, TILE, dz, right(s->x, lc, TILE, s->c, s->x_right), q->acc_in, lc);
        memcpy(s->du, m->window + m->row * lc, (size_t)(TILE * lc) * sizeof(float)); // the gradient of the residual
        dz = left(s->dz, s->lz, TILE, 2 * s->c, s->dz_left);
        add_product(TILE, s->c, 2 * s->c, dz, s->w_in, s->du, lc);
        for (long r = 0; r < TILE; r++) {
            if (centre[r] < 0) continue;
            store_tile(s->du + r * lc, lc, q->dh + centre[r] * c, c, 1);
            done++;
        }
    }
}

static void *local_range(void *arg)
{
    local_job *q = arg;
    walk m;
    buffers s;
    job gates;
    if (!prepare_local(q, &m, &gates, &s)) return q->own.failed = 1, NULL;
    open_tiles();
    q->dy ? local_backward(q, &m, &s) : local_forward(q, &m, &s);
    close_tiles();
    return NULL;
}

// Both return 0, or 1 if memory ran out. out_rinv may be NULL.
int trm_local(const float *h, const float *w_in, const float *w_around, float *out, float *out_rinv, long boards,
              long height, long width, long c, float eps, int threads)
{
    local_job part[MAX_THREADS], all = {.h = h, .w_in = w_in, .w_around = w_around, .out = out, .out_rinv = out_rinv};
    all.height = height, all.width = width, all.c = c, all.eps = eps;
    threads = run_ranges(local_range, &all, part, sizeof all, boards, threads);
    release(part, sizeof all, threads);
    return threads == 0;
}

int trm_local_grad(const float *h, const float *w_in, const float *w_around, const float *y, const float *rinv,
                   const float *dy, float *dh, float *dw_in, float *dw_around, long boards, long height, long width,
                   long c, int threads)
{
    local_job part[MAX_THREADS], all = {.h = h, .w_in = w_in, .w_around = w_around, .y = y, .rinv = rinv, .dy = dy};
    all.dh = dh, all.height = height, all.width = width, all.c = c;
    threads = run_ranges(local_range, &all, part, sizeof all, boards, threads);
    long padded = round_up(c, UNIT);
    const float *acc[MAX_THREADS];
    for (int t = 0; t < threads; t++) acc[t] = part[t].acc_in;
    if (threads) sum_in(acc, threads, dw_in, c, c);
    for (long j = 0; threads && j < c * PARTS * c; j++) { // j numbers outputs, parts and inputs
        long out = j / (PARTS * c), i = j / c % PARTS;
        float sum = 0;
        long at = (i * stacked(padded) + out) * leading(padded) + j % c;
        for (int t = 0; t < threads; t++) sum += part[t].acc_around[at];
        dw_around[j] = sum;
    }
    release(part, sizeof all, threads);
    return threads == 0;
}
