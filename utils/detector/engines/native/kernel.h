/* What operator.c and the kernels share. */
#include <stdint.h>

#define N_BLOCKS 6
#define N_ROWS 23
#define N_BANDS (3 * N_ROWS)
#define HALF 64         /* samples on each side of a sinc filter's middle */

/* Weights as the graph holds them, batch norm folded in: conv1 (inner, in, 2, 3),
   conv2 (out, inner, 2, 3), down (out, in, 1, 3) or null for a plain short cut. */
typedef struct {
    int in, inner, out;
    const float *conv1, *bias1, *conv2, *bias2, *down;
} weights;

/* filters (69, 129), symmetric; norm: factor and offset of the bands' magnitudes. */
typedef struct {
    const float *filters, *norm;
    weights blocks[N_BLOCKS];
} model;

/* What one instruction set makes of it. `prepare` packs the weights, `room` allocates what a wave
   of so many samples needs; both give null where memory lacks, and `free` ends both. `encode`
   fills the outputs (channels, 23, columns) that are not null. */
typedef struct {
    void *(*prepare)(const model *m);
    void *(*room)(const void *network, long samples);
    void (*encode)(const void *network, void *room, const float *wave, long samples,
                   float *const outputs[N_BLOCKS]);
} kernel;

/* AVX-512, AVX2 with FMA, NEON */
extern const kernel kernel_512, kernel_256, kernel_128;
