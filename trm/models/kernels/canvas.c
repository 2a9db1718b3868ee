// The mixer of `trm adapt` as one kernel: y = rms_norm(h + mapped sums of the gated features of h) on canvases with a
// layer for each colour. canvas.py defines the operation.
//
// A layer is laid out as places: there is an empty place after each row of cells and an empty row above and below, so a
// neighbour is at a fixed distance and nothing wraps around. All layers of an example stay in the second-level cache.

#include "fused.h"

#define NEAR 9  // maps of the neighbourhood, row by row
#define LINES 4 // then of all cells above, below, to the left and to the right; then of the canvas and of the colours
#define CANVAS (NEAR + LINES)
#define COLOURS (CANVAS + 1)
#define MAPS (COLOURS + 1)

// The arguments of a call and the examples [first, last) of one thread. dy == NULL: the forward pass.
typedef struct {
    range own;
    const float *h, *inside, *w_in, *maps, *y, *rinv, *dy;
    float *out, *out_rinv, *dh;
    long colours, height, width, c;
    float eps;
    float *acc_in, *acc_maps; // scratch; gradients of w_in (interleaved) and of the maps
} canvas_job;

typedef struct {
    float *f, *du;                       // features and gradient before the norm, all layers
    float *f_cell, *du_cell, *here;      // their sums over the colours, and what a cell gets from the one it needs
    float *f_sum, *du_sum, *mean, *from; // [colours] sums over a layer; one row, and what it is mapped to
    float *line, *acc;                   // sums along lines; what each place of a layer gets
    side maps, left, line_left, right, turned, mean_left;
    long c, k, ld, row, start, span, layer; // k: c without padding; places: from a cell to the one below, the first cell, the cells, a layer
} canvas;

INLINE float *take_layers(arena *a, const canvas *m, long count) { return take_zeros(a, count * m->layer, m->ld); }

// Returns the maps as a tile.
static float *lay_out_canvas(canvas_job *q, canvas *m, arena *a, int grad)
{
    float *maps = take_zeros(a, MAPS * m->c, m->ld);
    m->maps = right_room(a, MAPS * m->c, m->c);
    m->f = take_layers(a, m, q->colours), m->line = take_layers(a, m, 1);
    m->f_cell = take_layers(a, m, 1), m->here = take(a, m->layer, m->ld), m->acc = take(a, m->layer, m->ld);
    m->f_sum = take(a, q->colours, m->ld), m->mean = take_zeros(a, SPARE, m->ld), m->from = take(a, SPARE, m->ld);
    m->left = left_room(a, m->layer, m->c), m->line_left = left_room(a, m->layer, m->c);
    m->mean_left = left_room(a, SPARE, m->c);
    if (!grad) return maps;
    m->du = take_layers(a, m, q->colours), m->du_cell = take_layers(a, m, 1), m->du_sum = take(a, q->colours, m->ld);
    m->right = right_room(a, m->span, m->c), m->turned = turned_room(a, m->span, m->c);
    q->acc_maps = take_zeros(a, MAPS * stacked(m->c), m->ld);
    return maps;
}

static int prepare_canvas(canvas_job *q, canvas *m, buffers *s)
{
    long c = q->c;
    int grad = q->dy != NULL;
    job gates = {.h = q->h, .w_in = q->w_in, .c = c, .hid = c};
    if (!prepare(&gates, s, grad)) return 0;
    q->own.gate_memory = gates.memory, q->acc_in = gates.acc_in;
    *m = (canvas){.c = s->c, .k = s->kc, .ld = s->lc, .row = q->width + 1};
    m->start = m->row + 1, m->span = q->height * m->row, m->layer = m->start + m->span + m->row + 1;
    arena a = {0};
    lay_out_canvas(q, m, &a, grad);
    a.at = q->own.memory = allocate(&a), a.used = 0;
    if (!a.at) return 0;
    float *maps = lay_out_canvas(q, m, &a, grad);
    for (long i = 0; i < MAPS; i++)
        for (long out = 0; out < c; out++)
            for (long in = 0; in < c; in++) // forward: a b needs [in, out]
                maps[(i * m->c + (grad ? out : in)) * m->ld + (grad ? in : out)] = q->maps[(i * c + out) * c + in];
    m->maps = right(maps, m->ld, MAPS * m->c, m->c, m->maps);
    return 1;
}

INLINE side map(const canvas *m, long number) { return matrix_of(m->maps, number, m->c); }

INLINE side rows_from(side a, long first) { return (side){a.at + first * a.ld, a.ld}; }

// How many places further on neighbour `number` of a cell is.
INLINE long distance(const canvas *m, long number) { return (number / 3 - 1) * m->row + number % 3 - 1; }

// A cell of an example and its place on a layer, as rows go through the cells.
typedef struct {
    long cell, place, x;
} spot;

INLINE spot spot_of(const canvas_job *q, const canvas *m, long cell)
{
    return (spot){cell, m->start + cell / q->width * m->row + cell % q->width, cell % q->width};
}

INLINE spot next_spot(const canvas_job *q, spot at)
{
    return at.x + 1 < q->width ? (spot){at.cell + 1, at.place + 1, at.x + 1} : (spot){at.cell + 1, at.place + 2, 0};
}

INLINE void add_row(float *to, const float *row, long c)
{
    for (long k = 0; k < c; k += W) V(to + k) += CV(row + k);
}

// The features of an example, inside the canvas: of all layers, their sums over colours, and over each layer.
static void find_features(const canvas_job *q, const canvas *m, const buffers *s, long example)
{
    long c = q->c, cells = q->height * q->width;
    const float *h = q->h + example * q->colours * cells * c, *inside = q->inside + example * cells;
    memset(m->f_cell, 0, (size_t)(m->layer * m->ld) * sizeof(float));
    memset(m->f_sum, 0, (size_t)(q->colours * m->ld) * sizeof(float));
    for (long colour = 0; colour < q->colours; colour++)
        for (long r0 = 0; r0 < cells; r0 += TILE) {
            long rows = min_long(TILE, cells - r0), padded = round_up(rows, ROWS);
            load_tile(h + (colour * cells + r0) * c, c, c, s->x, s->lc, rows, padded);
            gates(s, left(s->x, s->lc, padded, s->c, s->x_left), padded);
            spot at = spot_of(q, m, r0);
            for (long r = 0; r < rows; r++, at = next_spot(q, at)) {
                float *f = m->f + (colour * m->layer + at.place) * m->ld;
                for (long k = 0; k < m->c; k += W) V(f + k) = CV(s->g + r * s->lh + k) * inside[at.cell];
                add_row(m->f_cell + at.place * m->ld, f, m->c);
                add_row(m->f_sum + colour * m->ld, f, m->c);
            }
        }
}

// m->line = for each cell of a layer, the sum of all cells in one direction.
static void sum_lines(const canvas_job *q, const canvas *m, const float *layer, int direction)
{
    long ld = m->ld, across = direction < 2, backwards = direction % 2;
    long lines = across ? q->width : q->height, cells = across ? q->height : q->width;
    long to_line = across ? 1 : m->row, to_cell = across ? m->row : 1;
    for (long i = 0; i < lines; i++) {
        long at = m->start + i * to_line + (backwards ? cells - 1 : 0) * to_cell, step = backwards ? -to_cell : to_cell;
        for (long k = 0; k < m->c; k += W) {
            vec sum = {0};
            const float *from = layer + at * ld + k;
            float *to = m->line + at * ld + k;
            for (long j = 0; j < cells; j++, from += step * ld, to += step * ld) V(to) = sum, sum += CV(from);
        }
    }
}

// m->from = a row times its map.
static void map_row(const canvas *m, const float *row, float scale, long number)
{
    for (long k = 0; k < m->c; k += W) V(m->mean + k) = CV(row + k) * scale;
    side mean = left(m->mean, m->ld, 1, m->c, m->mean_left);
    set_product(1, m->c, m->k, mean, map(m, number), m->from, m->ld);
}

// m->here = the sums over colours times their map.
static void map_cells(const canvas *m, float *cells)
{
    side from = left(cells + m->start * m->ld, m->ld, m->span, m->c, m->line_left);
    set_product(m->span, m->c, m->k, from, map(m, COLOURS), m->here, m->ld);
}

// m->acc = what the cells of a layer get; `sum` is the layer's. In the backward pass (`sign` -1), what they give back:
// everything comes from the opposite direction.
static void gather_layer(const canvas_job *q, const canvas *m, float *layer, const float *sum, float scale, int sign)
{
    map_row(m, sum, scale, CANVAS);
    for (long r = 0; r < m->span; r++)
        for (long k = 0; k < m->c; k += W)
            V(m->acc + r * m->ld + k) = CV(m->here + r * m->ld + k) + CV(m->from + k);
    side places = left(layer, m->ld, m->layer, m->c, m->left);
    for (long number = 0; number < NEAR; number++)
        add_product(m->span, m->c, m->k, rows_from(places, m->start + sign * distance(m, number)), map(m, number),
                    m->acc, m->ld);
    for (int line = 0; line < LINES; line++) {
        sum_lines(q, m, layer, sign > 0 ? line : line ^ 1);
        side sums = left(m->line + m->start * m->ld, m->ld, m->span, m->c, m->line_left);
        add_product(m->span, m->c, m->k, sums, map(m, NEAR + line), m->acc, m->ld);
    }
}

// 1 / cells on the canvas
static float inverse_area(const canvas_job *q, long example)
{
    long cells = q->height * q->width;
    float area = 0;
    for (long i = 0; i < cells; i++) area += q->inside[example * cells + i];
    return 1.0f / area;
}

static void canvas_forward(const canvas_job *q, const canvas *m, const buffers *s, long example)
{
    long c = q->c, cells = q->height * q->width;
    float scale = inverse_area(q, example);
    find_features(q, m, s, example);
    map_cells(m, m->f_cell);
    for (long colour = 0; colour < q->colours; colour++) {
        gather_layer(q, m, m->f + colour * m->layer * m->ld, m->f_sum + colour * m->ld, scale, 1);
        long first = (example * q->colours + colour) * cells;
        for (spot at = spot_of(q, m, 0); at.cell < cells; at = next_spot(q, at)) {
            float *u = m->acc + (at.place - m->start) * m->ld;
            const float *h = q->h + (first + at.cell) * c;
            for (long k = 0; k < m->c; k += W) V(u + k) += some(h + k, c - k);
            float rinv = norm_row(u, q->out + (first + at.cell) * c, q->eps, c);
            if (q->out_rinv) q->out_rinv[first + at.cell] = rinv;
        }
    }
}

// The gradients before the norm of an example, and their sums, as find_features.
static void find_du(const canvas_job *q, const canvas *m, long example)
{
    long c = q->c, cells = q->height * q->width;
    memset(m->du_cell, 0, (size_t)(m->layer * m->ld) * sizeof(float));
    memset(m->du_sum, 0, (size_t)(q->colours * m->ld) * sizeof(float));
    for (long colour = 0; colour < q->colours; colour++)
        for (spot at = spot_of(q, m, 0); at.cell < cells; at = next_spot(q, at)) {
            long from = (example * q->colours + colour) * cells + at.cell;
            float *du = m->du + (colour * m->layer + at.place) * m->ld;
            norm_grad_row(q->y + from * c, q->dy + from * c, q->rinv[from], du, c);
            add_row(m->du_cell + at.place * m->ld, du, m->c);
            add_row(m->du_sum + colour * m->ld, du, m->c);
        }
}

INLINE float *acc_of(const canvas_job *q, const canvas *m, long number)
{
    return q->acc_maps + number * stacked(m->c) * m->ld;
}

// Adds to the gradient of a map what comes from du, turned, and the cells of a layer that it was applied to.
static void add_map(const canvas_job *q, const canvas *m, side du, float *layer, long first, long number)
{
    side from = right(layer + first * m->ld, m->ld, m->span, m->c, m->right);
    add_product_t(m->k, m->c, summed(m->span), du, from, acc_of(q, m, number), m->ld);
}

static void maps_backward(const canvas_job *q, const canvas *m, long colour, float scale)
{
    float *f = m->f + colour * m->layer * m->ld, *du = m->du + colour * m->layer * m->ld;
    side across = turned(du + m->start * m->ld, m->ld, m->span, m->c, m->turned);
    for (long number = 0; number < NEAR; number++) add_map(q, m, across, f, m->start + distance(m, number), number);
    for (int line = 0; line < LINES; line++) {
        sum_lines(q, m, f, line);
        add_map(q, m, across, m->line, m->start, NEAR + line);
    }
    float *acc = acc_of(q, m, CANVAS);
    const float *to = m->du_sum + colour * m->ld, *from = m->f_sum + colour * m->ld;
    for (long i = 0; i < m->c; i++)
        for (long k = 0; k < m->c; k += W) V(acc + i * m->ld + k) += CV(from + k) * (to[i] * scale);
}

// The gradients of a layer's features are in m->acc.
static void features_backward(const canvas_job *q, const canvas *m, const buffers *s, long example, long colour)
{
    long c = q->c, cells = q->height * q->width, first = (example * q->colours + colour) * cells;
    for (long r0 = 0; r0 < cells; r0 += TILE) {
        long rows = min_long(TILE, cells - r0), padded = round_up(rows, ROWS);
        load_tile(q->h + (first + r0) * c, c, c, s->x, s->lc, rows, padded);
        load_tile(NULL, 0, s->c, s->du, s->lc, 0, padded);
        spot at = spot_of(q, m, r0);
        for (long r = 0; r < rows; r++, at = next_spot(q, at)) {
            const float *df = m->acc + (at.place - m->start) * m->ld;
            float mask = q->inside[example * cells + at.cell];
            for (long k = 0; k < m->c; k += W) V(s->du + r * s->lc + k) = CV(df + k) * mask;
        }
        features_grad(s, padded);
        side dz = turned(s->dz, s->lz, padded, 2 * s->c, s->dz_turned);
        add_product_t(2 * s->c, s->c, padded, dz, right(s->x, s->lc, padded, s->c, s->x_right), q->acc_in, s->lc);
        at = spot_of(q, m, r0);
        for (long r = 0; r < rows; r++, at = next_spot(q, at)) // the gradient of the residual
            memcpy(s->du + r * s->lc, m->du + (colour * m->layer + at.place) * m->ld, (size_t)m->c * sizeof(float));
        dz = left(s->dz, s->lz, padded, 2 * s->c, s->dz_left);
        add_product(padded, s->c, 2 * s->c, dz, s->w_in, s->du, s->lc);
        store_tile(s->du, s->lc, q->dh + (first + r0) * c, c, rows);
    }
}

// The features are recomputed from h, as in fused.c.
static void canvas_backward(const canvas_job *q, const canvas *m, const buffers *s, long example)
{
    float scale = inverse_area(q, example);
    find_features(q, m, s, example);
    find_du(q, m, example);
    add_map(q, m, turned(m->du_cell + m->start * m->ld, m->ld, m->span, m->c, m->turned), m->f_cell, m->start, COLOURS);
    map_cells(m, m->du_cell);
    for (long colour = 0; colour < q->colours; colour++) {
        maps_backward(q, m, colour, scale);
        gather_layer(q, m, m->du + colour * m->layer * m->ld, m->du_sum + colour * m->ld, scale, -1);
        features_backward(q, m, s, example, colour);
    }
}

static void *canvas_range(void *arg)
{
    canvas_job *q = arg;
    canvas m = {0};
    buffers s = {0};
    if (!prepare_canvas(q, &m, &s)) return q->own.failed = 1, NULL;
    open_tiles();
    for (long example = q->own.first; example < q->own.last; example++)
        (q->dy ? canvas_backward : canvas_forward)(q, &m, &s, example);
    close_tiles();
    return NULL;
}

// Both return 0, or 1 if memory ran out. out_rinv may be NULL.
int trm_canvas(const float *h, const float *inside, const float *w_in, const float *maps, float *out, float *out_rinv,
               long examples, long colours, long height, long width, long c, float eps, int threads)
{
    canvas_job part[MAX_THREADS], all = {.h = h, .inside = inside, .w_in = w_in, .maps = maps, .out = out};
    all.out_rinv = out_rinv, all.colours = colours, all.height = height, all.width = width, all.c = c, all.eps = eps;
    threads = run_ranges(canvas_range, &all, part, sizeof all, examples, threads);
    release(part, sizeof all, threads);
    return threads == 0;
}

int trm_canvas_grad(const float *h, const float *inside, const float *w_in, const float *maps, const float *y,
                    const float *rinv, const float *dy, float *dh, float *dw_in, float *dmaps, long examples,
                    long colours, long height, long width, long c, int threads)
{
    canvas_job part[MAX_THREADS], all = {.h = h, .inside = inside, .w_in = w_in, .maps = maps, .y = y, .rinv = rinv};
    all.dy = dy, all.dh = dh, all.colours = colours, all.height = height, all.width = width, all.c = c;
    threads = run_ranges(canvas_range, &all, part, sizeof all, examples, threads);
    const float *acc[MAX_THREADS], *acc_maps[MAX_THREADS];
    for (int t = 0; t < threads; t++) acc[t] = part[t].acc_in, acc_maps[t] = part[t].acc_maps;
    if (threads) sum_in(acc, threads, dw_in, c, c), sum_maps(acc_maps, threads, dmaps, MAPS, c);
    release(part, sizeof all, threads);
    return threads == 0;
}
