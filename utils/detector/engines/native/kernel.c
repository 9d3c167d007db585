/* AASIST's sinc bands and residual blocks for one instruction set; see README.md.

Compiled once per set, with LANES numbers in a vector and GROUP row pairs in registers. Activations
are float32 (ROWS, columns, channels): 23 rows with a row of zeros above and one below, HALO columns
of zeros before the first. A tile is four columns of three rows of a convolution's output: 24
products a channel instead of 72, by Winograd's F(3, 2) over rows and F(4, 3) over columns
(Lavin and Gray, 2016). */
#include "kernel.h"
#include <stdlib.h>
#include <string.h>

#define THREES 8                /* of rows: conv1 gives 24 rows, conv2 23 and one that nobody reads */
#define TILES 3
#define COLUMNS (4 * TILES)      /* of a convolution's output at once: a multiple of three */
#define HALO COLUMNS
#define ROWS 25
#define WIDE (2 * LANES)        /* output channels of one pass */
#define PLANE ((long)TILES * THREES * WIDE)
#define UNROLLED _Pragma("unroll 32")
#define INLINE static inline __attribute__((always_inline))

/* Packed for the kernel: channels are multiples of WIDE, conv1 and conv2 (out / WIDE, 24, in, WIDE)
   are transformed; conv2's last inputs are the short cut's. Between them are `inner` channels. A
   first block has one input channel, conv1 (6, inner) and down (3, out). */
typedef struct {
    int in, inner, out, channels;
    enum { SUMMED, WEIGHED, PLAIN } shortcut;
    float *conv1, *bias1, *conv2, *bias2, *down;
} block;

typedef struct {
    float scale, offset, *bands;
    block blocks[N_BLOCKS];
} network;

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t whole __attribute__((vector_size(4 * LANES)));

INLINE vec load(const float *p) { return *(const loose *)p; }
INLINE void store(float *p, vec v) { *(loose *)p = v; }
INLINE vec all(float x) { return x - (vec){0}; }
INLINE vec most(vec a, vec b) { return __builtin_elementwise_max(a, b); }
INLINE vec least(vec a, vec b) { return __builtin_elementwise_min(a, b); }

/* SELU to 2e-7: 2^n times a polynomial of degree six for the exponential, relative error 3e-9. */
#define SCALE 1.0507009873554805f
#define STEEP 1.7580993408473766f       /* SCALE times alpha */
INLINE vec selu(vec x) {
    vec low = most(least(x, all(0)), all(-86));
    vec shifted = low * all(1.44269504f) + all(12582912);       /* 1.5 * 2^23 rounds to whole n */
    vec n = shifted - all(12582912);
    vec r = low - n * all(0.69314718f);
    vec p = all(STEEP * 1.3814539360e-3f);
    p = p * r + all(STEEP * 8.3687451838e-3f);
    p = p * r + all(STEEP * 4.1668390801e-2f);
    p = p * r + all(STEEP * 1.6666520398e-1f);
    p = p * r + all(STEEP * 4.9999993432e-1f);
    p = p * r + all(STEEP);
    p = p * r + all(STEEP);
    vec power = (vec)((whole)p + ((whole)shifted << 23));
    return power + (most(x, all(0)) * all(SCALE) - all(STEEP));
}

/* --- The sinc bands ------------------------------------------------------------------------- */

#define SPAN (LANES == 8 ? 1 : 2)       /* vectors of columns at once: AVX2 has 16 registers */

/* bands (69, 65): the filters' right halves. Columns from `column` on of the image: the largest
   magnitude of three bands and three samples, normalised, through SELU. */
static void bands_at(const float *const phases[3], const float *bands, float scale, float offset,
                     long column, float *image, long stride) {
    vec sums[HALF + 1][3][SPAN];
    for (int k = 0; k <= HALF; k++)
        for (int q = 0; q < 3; q++)
            for (int s = 0; s < SPAN; s++) {
                int early = q + HALF - k, late = q + HALF + k;
                long at = column + s * LANES;
                vec sum = load(phases[late % 3] + at + late / 3);
                sums[k][q][s] = k ? sum + load(phases[early % 3] + at + early / 3) : sum;
            }
    for (int row = 0; row < N_ROWS; row++, bands += 3 * (HALF + 1)) {
        vec found[3][3][SPAN] = {0};
        for (int k = 0; k <= HALF; k++)
            UNROLLED
            for (int f = 0; f < 3; f++) {
                vec weight = all(bands[f * (HALF + 1) + k]);
                UNROLLED
                for (int i = 0; i < 3 * SPAN; i++)
                    found[f][i / SPAN][i % SPAN] += weight * sums[k][i / SPAN][i % SPAN];
            }
        for (int s = 0; s < SPAN; s++) {
            vec largest = all(0);
            for (int i = 0; i < 9; i++) {
                vec v = found[i / 3][i % 3][s];
                largest = most(largest, most(v, -v));
            }
            store(image + (row + 1) * stride + HALO + column + s * LANES,
                  selu(largest * all(scale) + all(offset)));
        }
    }
}

/* The pooled bands of a wave: rows 1 to 23 of the image. room: 3 strides. */
static void image_of(const network *net, const float *wave, long samples, float *image, long stride,
                     float *room) {
    long columns = (samples - 2 * HALF) / 3;
    const float *phases[3] = {room, room + stride, room + 2 * stride};
    for (long i = 0; i < 3 * stride; i++)
        room[i % 3 * stride + i / 3] = i < samples ? wave[i] : 0;
    for (long column = 0; column < columns; column += SPAN * LANES)
        bands_at(phases, net->bands, net->scale, net->offset, column, image, stride);
    for (int row = 1; row <= N_ROWS; row++)
        memset(image + row * stride + HALO + columns, 0, 4 * (stride - HALO - columns));
}

/* --- Convolutions --------------------------------------------------------------------------- */

/* V (6, TILES, THREES, depth) at channel 0: the tiles' inputs for one of the four products that make
   three rows of outputs from four of inputs. */
enum { SUM, DIFFERENCE, TOP, BOTTOM };
INLINE void into_tiles(const float *x, long row, int channels, float *V, int depth, int part) {
    static const int FIRST[] = {1, 2, 0, 3}, SECOND[] = {2, 1, 2, 1};
    long step = (long)TILES * THREES * depth;
    for (int three = 0; three < THREES; three++)
        for (int tile = 0; tile < TILES; tile++)
            for (int c = 0; c < channels; c += LANES) {
                const float *p = x + 3 * three * row + 4 * tile * channels + c;
                float *v = V + ((long)tile * THREES + three) * depth + c;
                vec d[6];
                for (int j = 0; j < 6; j++) {
                    vec first = load(p + FIRST[part] * row + j * channels);
                    vec second = load(p + SECOND[part] * row + j * channels);
                    d[j] = part == SUM ? first + second : first - second;
                }
                vec a = d[4] - all(4) * d[2], b = d[3] - all(4) * d[1];
                vec e = d[4] - d[2], f = d[3] - d[1];
                store(v, all(4) * d[0] + (d[4] - all(5) * d[2]));
                store(v + step, a + b);
                store(v + 2 * step, a - b);
                store(v + 3 * step, e + all(2) * f);
                store(v + 4 * step, e - all(2) * f);
                store(v + 5 * step, all(4) * d[1] + (d[5] - all(5) * d[3]));
            }
}

/* Numbers that the compiler knows keep the addresses in registers. */
#define TILES_OF(part) do { \
    if (channels == 32) into_tiles(x, row, 32, V, depth, part); \
    else if (channels == 64) into_tiles(x, row, 64, V, depth, part); \
    else into_tiles(x, row, channels, V, depth, part); \
} while (0)
static void tiles_of(const float *x, long row, int channels, float *V, int depth, int part) {
    if (part == SUM) TILES_OF(SUM);
    if (part == DIFFERENCE) TILES_OF(DIFFERENCE);
    if (part == TOP) TILES_OF(TOP);
    if (part == BOTTOM) TILES_OF(BOTTOM);
}

/* Z (GROUP, WIDE) = before + v (GROUP, depth) u (depth, WIDE), of which `used` rows count. */
INLINE void product(const float *v, int depth, int used, const float *u, const float *before,
                    float *Z) {
    vec sums[GROUP][2] = {0};
    if (before)
        UNROLLED
        for (int i = 0; i < 2 * GROUP; i++) sums[i / 2][i % 2] = load(before + i * LANES);
    for (int c = 0; c < used; c++) {
        vec left = load(u + c * WIDE), right = load(u + c * WIDE + LANES);
        UNROLLED
        for (int i = 0; i < GROUP; i++) {
            vec value = all(v[i * depth + c]);
            sums[i][0] += value * left;
            sums[i][1] += value * right;
        }
    }
    UNROLLED
    for (int i = 0; i < 2 * GROUP; i++) store(Z + i * LANES, sums[i / 2][i % 2]);
}

/* Z (6, TILES, THREES, WIDE) = before + V U, U (6, depth, WIDE). */
static void products(const float *V, int depth, int used, const float *U, const float *before,
                     float *Z) {
    for (int k = 0; k < 6; k++)
        for (int t = 0; t < TILES * THREES; t += GROUP) {
            long at = k * PLANE + t * WIDE;
            product(V + ((long)k * TILES * THREES + t) * depth, depth, used,
                    U + (long)k * depth * WIDE, before ? before + at : 0, Z + at);
        }
}

/* y (4 columns) of a tile; of the middle row where the sum is given: twice it less z. */
INLINE void out_of_tile(const float *z, const float *sum, vec y[4]) {
    vec m[6];
    for (int j = 0; j < 6; j++) {
        m[j] = load(z + j * PLANE);
        if (sum) m[j] = all(2) * load(sum + j * PLANE) - m[j];
    }
    vec a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
    y[0] = m[0] + a + c;
    y[1] = b + all(2) * d;
    y[2] = a + all(4) * c;
    y[3] = b + all(8) * d + m[5];
}

/* SELU of every third row of conv1 into h. */
INLINE void activated(const float *Z, const float *sum, const float *bias, float *h, long row,
                      int channels) {
    for (int three = 0; three < THREES; three++)
        for (int tile = 0; tile < TILES; tile++)
            for (int half = 0; half < WIDE; half += LANES) {
                long at = ((long)tile * THREES + three) * WIDE + half;
                vec y[4];
                out_of_tile(Z + at, sum ? sum + at : 0, y);
                for (int j = 0; j < 4; j++)
                    store(h + 3 * three * row + (4 * tile + j) * channels + half,
                          selu(y[j] + load(bias + half)));
            }
}

static void activate(const float *Z, const float *sum, const float *bias, float *h, long row,
                     int channels) {
    if (sum) activated(Z, sum, bias, h, row, channels);
    else activated(Z, 0, bias, h, row, channels);
}

/* conv1 of an image of one channel, and SELU: 24 rows into h. weights (6, channels). */
static void first_layer(const float *x, long x_row, const float *weights, const float *biases,
                        float *h, long row, int channels) {
    for (int c = 0; c < channels; c += LANES) {
        vec w[6], bias = load(biases + c);
        for (int i = 0; i < 6; i++) w[i] = load(weights + i * channels + c);
        for (int r = 0; r < 3 * THREES; r++)
            for (int j = 0; j < COLUMNS; j++) {
                const float *p = x + r * x_row + j, *q = p + x_row;
                vec y = bias + w[0] * p[0] + w[1] * p[1] + w[2] * p[2]
                             + w[3] * q[0] + w[4] * q[1] + w[5] * q[2];
                store(h + r * row + j * channels + c, selu(y));
            }
    }
}

/* Every third row of conv2 and the short cut, pooled by three: `last` columns of y. x is the
   block's input at the first row and column; `down` weighs it where it has one channel. */
INLINE void pooled(const float *Z, const float *sum, const float *bias, const float *x, long x_row,
                   int shortcut, const float *down, float *y, long row, int channels, int rows,
                   long last) {
    for (int three = 0; three < rows; three++)
        for (int half = 0; half < WIDE; half += LANES) {
            vec z[TILES][4], edge[3];
            for (int tile = 0; tile < TILES; tile++) {
                long at = ((long)tile * THREES + three) * WIDE + half;
                out_of_tile(Z + at, sum ? sum + at : 0, z[tile]);
            }
            if (shortcut == WEIGHED)
                for (int i = 0; i < 3; i++) edge[i] = load(down + i * channels + half);
            const float *p = x + 3 * three * x_row;
            for (int j = 0; j < COLUMNS; j += 3) {
                vec largest;
                for (int i = j; i < j + 3; i++) {
                    vec v = z[i / 4][i % 4];
                    if (shortcut == WEIGHED)
                        v += edge[0] * p[i - 1] + edge[1] * p[i] + edge[2] * p[i + 1];
                    if (shortcut == PLAIN) v += load(p + i * channels + half);
                    largest = i > j ? most(largest, v) : v;
                }
                if (j / 3 < last)
                    store(y + 3 * three * row + j / 3 * channels + half,
                          largest + load(bias + half));
            }
        }
}

#define POOL(shortcut, sum) \
    pooled(Z, sum, bias, x, x_row, shortcut, down, y, row, channels, rows, last)
static void pool(const float *Z, const float *sum, const float *bias, const float *x, long x_row,
                 int shortcut, const float *down, float *y, long row, int channels, int rows,
                 long last) {
    if (shortcut == SUMMED) { if (sum) POOL(SUMMED, sum); else POOL(SUMMED, 0); }
    if (shortcut == WEIGHED) { if (sum) POOL(WEIGHED, sum); else POOL(WEIGHED, 0); }
    if (shortcut == PLAIN) { if (sum) POOL(PLAIN, sum); else POOL(PLAIN, 0); }
}

/* --- Blocks --------------------------------------------------------------------------------- */

/* Room for tiles of the input, and for products: SUM, with DIFFERENCE, with one of the others. */
typedef struct { float *V, *sum, *both, *Z; } space;

/* The output channels from o on of one part; gives what its rows are made of, or null. After
   DIFFERENCE these are the middle rows, after TOP the first, after BOTTOM the last of three. */
static const float *part_of(int part, const float *U, int depth, int used, int o, space s) {
    float *sum = s.sum + 6 * PLANE * (o / WIDE), *both = s.both + 6 * PLANE * (o / WIDE);
    const float *u = U + ((long)o * 24 + part * 6 * WIDE) * depth;
    const float *before = part == SUM ? 0 : part == DIFFERENCE ? sum : both;
    float *Z = part == SUM ? sum : part == DIFFERENCE ? both : s.Z;
    products(s.V, depth, used, u, before, Z);
    return part == SUM ? 0 : Z;
}

static const int ROW_OF[] = {0, 1, 0, 2};

static void conv1(const block *b, const float *x, long x_row, float *h, long row, space s) {
    for (int part = SUM; part <= BOTTOM; part++) {
        tiles_of(x, x_row, b->in, s.V, b->in, part);
        for (int o = 0; o < b->inner; o += WIDE) {
            const float *Z = part_of(part, b->conv1, b->in, b->in, o, s);
            const float *sum = part == DIFFERENCE ? s.sum + 6 * PLANE * (o / WIDE) : 0;
            if (Z) activate(Z, sum, b->bias1 + o, h + ROW_OF[part] * row + o, row, b->inner);
        }
    }
}

/* x is at the block's input above the first row, at the column of y's first. */
static void conv2(const block *b, const float *h, long h_row, const float *x, long x_row, float *y,
                  long row, long last, space s) {
    int depth = b->inner + (b->shortcut == SUMMED ? b->in : 0);     /* the input follows h */
    for (int part = SUM; part <= BOTTOM; part++) {
        int used = part == BOTTOM ? b->inner : depth, r = ROW_OF[part];
        tiles_of(h, h_row, b->inner, s.V, depth, part);
        if (used > b->inner) tiles_of(x + x_row - b->in, x_row, b->in, s.V + b->inner, depth, part);
        for (int o = 0; o < b->out; o += WIDE) {
            const float *Z = part_of(part, b->conv2, depth, used, o, s);
            const float *sum = part == DIFFERENCE ? s.sum + 6 * PLANE * (o / WIDE) : 0;
            if (Z)
                pool(Z, sum, b->bias2 + o, x + (r + 1) * x_row + (b->shortcut == PLAIN ? o : 0),
                     x_row, b->shortcut, b->down + o, y + (r + 1) * row + o, row, b->out,
                     THREES - (part == BOTTOM), last);
        }
    }
}

/* Columns of h outside the recording are zero, like the padding of conv2. */
static void silence(float *h, long row, int channels, long from, long to) {
    for (int r = 0; r < ROWS - 1; r++)
        for (long j = 0; j < COLUMNS; j++)
            if (j < from || j >= to) memset(h + r * row + j * channels, 0, 4 * channels);
}

/* --- Blocks at work ------------------------------------------------------------------------- */

/* A block takes COLUMNS of its input in a turn, and gives the next one a third of them. Between two
   blocks lie at most HELD columns, so that all but the image stays in the cache: x (ROWS, stride,
   wide) begins with column `base`; `given` columns are there, and all later ones are zero. h keeps
   two columns of the turn before. Behind the last block is a stage without one. */
#define HELD (6 * COLUMNS)
#define AHEAD (COLUMNS + 2)     /* columns that a turn reads from its start on */

typedef struct {
    const block *block;
    int wide;
    float *x, *h, *output;      /* output (channels, 23, columns) of this input, or null */
    long stride, base, given, columns, start;
} stage;

static void turn(const stage *now, const stage *next, space s) {
    const block *b = now->block;
    long row = (COLUMNS + 2L) * b->inner, x_row = now->stride * b->in, start = now->start;
    const float *here = now->x + (start - now->base) * b->in;
    float *h = now->h, *fresh = h + 2 * b->inner;
    for (int r = 0; r < ROWS; r++)
        memmove(h + r * row, h + r * row + COLUMNS * b->inner, 8 * b->inner);
    if (b->in == 1) first_layer(here, x_row, b->conv1, b->bias1, fresh, row, b->inner);
    else conv1(b, here, x_row, fresh, row, s);
    if (start < 0 || start + COLUMNS + 1 > now->columns)
        silence(fresh, row, b->inner, start < 0 ? COLUMNS - 1 : 0, now->columns - start - 1);
    if (start >= 0)
        conv2(b, h, row, here, x_row, next->x + (start / 3 - next->base) * b->out,
              next->stride * b->out, next->columns - start / 3, s);
}

/* The columns from `from` on, as the output wants them. */
static void write(const stage *s, int channels, long from) {
    const float *x = s->x + (from - s->base) * s->wide;
    for (int c = 0; c < channels; c++)
        for (long r = 0; r < N_ROWS; r++)
            for (long j = 0; j < s->given - from; j++)
                s->output[(c * N_ROWS + r) * s->columns + from + j] =
                    x[((r + 1) * s->stride + j) * s->wide + c];
}

/* Forgets the columns that no turn reads again. */
static void slide(stage *s) {
    long gone = (s->start - 1 - s->base) * s->wide, row = s->stride * s->wide;
    for (float *x = s->x; x < s->x + ROWS * row; x += row) {
        memmove(x, x + gone, 4 * (row - gone));
        memset(x + row - gone, 0, 4 * gone);
    }
    s->base = s->start - 1;
}

/* Takes all turns for which the input is there. The next stage takes its own when it is full. */
static void advance(stage *now, space s) {
    const block *b = now->block;
    stage *next = now + 1;
    if (!b) now->start = now->given;
    while (now->start < now->columns
           && (now->given == now->columns || now->given >= now->start + AHEAD)) {
        if (next->given + COLUMNS / 3 + AHEAD > next->base + next->stride) {
            advance(next, s);
            slide(next);
        }
        turn(now, next, s);
        now->start += COLUMNS;
        long from = next->given, made = now->start / 3;
        next->given = made < next->columns ? made : next->columns;
        if (next->output) write(next, b->channels, from);
    }
}

/* --- The network ---------------------------------------------------------------------------- */

static long wide(long channels) { return (channels + WIDE - 1) / WIDE * WIDE; }
/* The next place, or size, that fills whole cache lines. */
static float *lines(void *p) { return (float *)(((uintptr_t)p + 63) / 64 * 64); }
static long stride_of(long columns) { return (columns + 15) / 16 * 16 + 2 * HALO + 8 + 2 * WIDE; }

/* out (out / WIDE, 24, depth, WIDE) from input channel `at` on: the weights (channels, in, rows, 3)
   of a convolution, transformed in float64. One row counts as the upper of two. */
static void transform(const float *w, int channels, int in, int rows, float *out, int depth, int at) {
    static const double ROW[4][2] = {{.5, .5}, {.5, -.5}, {1, 0}, {0, 1}};
    static const double COLUMN[6][3] = {{1 / 4., 0, 0}, {-1 / 6., -1 / 6., -1 / 6.},
                                        {-1 / 6., 1 / 6., -1 / 6.}, {1 / 24., 1 / 12., 1 / 6.},
                                        {1 / 24., -1 / 12., 1 / 6.}, {0, 0, 1}};
    for (int o = 0; o < channels; o++)
        for (int i = 0; i < in; i++, w += 3 * rows)
            for (int k = 0; k < 24; k++) {
                double sum = 0;
                for (int r = 0; r < rows; r++)
                    for (int j = 0; j < 3; j++) sum += ROW[k / 6][r] * COLUMN[k % 6][j] * w[3 * r + j];
                out[((o / WIDE * 24L + k) * depth + at + i) * WIDE + o % WIDE] = (float)sum;
            }
}

static void pack(const weights *w, block *b, float **room) {
    int first = w->in == 1;
    b->channels = w->out;
    b->in = first ? 1 : wide(w->in);
    b->inner = wide(w->inner);
    b->out = wide(w->out);
    b->shortcut = first ? WEIGHED : w->down ? SUMMED : PLAIN;
    int depth = b->inner + (b->shortcut == SUMMED ? b->in : 0);
    float **places[] = {&b->bias1, &b->bias2, &b->down, &b->conv1, &b->conv2};
    long sizes[] = {b->inner, b->out, 3 * b->out, (first ? 6 : 24 * b->in) * (long)b->inner,
                    24L * depth * b->out};
    for (int i = 0; i < 5; i++) {
        *places[i] = *room;
        *room += sizes[i];
    }
    memcpy(b->bias1, w->bias1, 4 * w->inner);
    memcpy(b->bias2, w->bias2, 4 * w->out);
    transform(w->conv2, w->out, w->inner, 2, b->conv2, depth, 0);
    if (!first) transform(w->conv1, w->inner, w->in, 2, b->conv1, b->in, 0);
    if (b->shortcut == SUMMED) transform(w->down, w->out, w->in, 1, b->conv2, depth, b->inner);
    for (int o = 0; first && o < w->inner; o++)
        for (int i = 0; i < 6; i++) b->conv1[i * b->inner + o] = w->conv1[6 * o + i];
    for (int o = 0; first && o < w->out; o++)
        for (int i = 0; i < 3; i++) b->down[i * b->out + o] = w->down[3 * o + i];
}

static void *prepare(const model *m) {
    long floats = N_BANDS * (HALF + 1);
    for (int i = 0; i < N_BLOCKS; i++) {
        const weights *w = &m->blocks[i];
        long in = wide(w->in), inner = wide(w->inner), out = wide(w->out);
        floats += (7 + 24 * in) * inner + (4 + 24 * (inner + in)) * out;
    }
    network *net = calloc(1, sizeof(network) + 4 * floats + 64);
    if (!net) return 0;
    float *room = lines(net + 1);
    net->scale = m->norm[0];
    net->offset = m->norm[1];
    for (int i = 0; i < N_BLOCKS; i++) pack(&m->blocks[i], &net->blocks[i], &room);
    net->bands = room;
    for (int i = 0; i < N_BANDS * (HALF + 1); i++)
        net->bands[i] = m->filters[i / (HALF + 1) * (2 * HALF + 1) + HALF + i % (HALF + 1)];
    return net;
}

/* What a wave needs: its stages, and what the bands and the blocks use in turn. */
typedef struct {
    stage stages[N_BLOCKS + 1];
    space space;
    float *phases;
} hall;

/* Lays all of it out from `from` on, in as many floats as it returns; null: only counts. */
static long lay_out(const network *net, long samples, hall *w, float *from) {
    long columns = (samples - 2 * HALF) / 3, tiles = 0, sums = 0, used = 0;
#define PLACE(p, floats) (p = from ? from + used : 0, used += ((floats) + 15) / 16 * 16)
    for (int i = 0; i <= N_BLOCKS; i++, columns /= 3) {
        const block *b = i < N_BLOCKS ? &net->blocks[i] : 0;
        stage *s = &w->stages[i];
        *s = (stage){b, i ? net->blocks[i - 1].out : 1, .columns = columns};
        s->stride = i ? HELD : stride_of(columns);
        PLACE(s->x, ROWS * s->stride * s->wide);
        if (!b) break;
        PLACE(s->h, ROWS * (COLUMNS + 2L) * b->inner);
        long wider = b->inner > b->out ? b->inner : b->out;
        if (b->in + b->inner > tiles) tiles = b->in + b->inner;
        if (wider > sums) sums = wider;
    }
    PLACE(w->space.V, 6L * TILES * THREES * tiles);
    PLACE(w->space.sum, 6 * PLANE * (sums / WIDE));
    PLACE(w->space.both, 6 * PLANE * (sums / WIDE));
    PLACE(w->space.Z, 6 * PLANE);
    PLACE(w->phases, 3 * w->stages[0].stride);
    return used;
}

static void *room(const void *network_, long samples) {
    hall counted, *w = calloc(1, sizeof *w + 4 * lay_out(network_, samples, &counted, 0) + 64);
    if (w) lay_out(network_, samples, w, lines(w + 1));
    return w;
}

static void encode(const void *network_, void *room, const float *wave, long samples,
                   float *const outputs[N_BLOCKS]) {
    hall *w = room;
    for (int i = 0; i <= N_BLOCKS; i++) {
        stage *s = &w->stages[i];
        s->base = s->start = -HALO;
        s->given = i ? 0 : s->columns;
        s->output = i ? outputs[i - 1] : 0;
        if (i) memset(s->x, 0, 4 * ROWS * s->stride * s->wide);
        if (s->block) memset(s->h, 0, 4 * ROWS * (COLUMNS + 2L) * s->block->inner);
    }
    image_of(network_, wave, samples, w->stages[0].x, w->stages[0].stride, w->phases);
    for (int i = 0; i < N_BLOCKS; i++) advance(&w->stages[i], w->space);
}

const kernel NAME = {prepare, room, encode};
