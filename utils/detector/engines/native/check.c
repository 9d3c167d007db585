/* Compares the kernels with plain loops in double precision, on random weights and short waves.
   Prints the largest difference of an output; exit code 1 above 1e-4. See README.md. */
#include "kernel.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const long LENGTHS[] = {1100, 3001, 4502};
static const int WIDTHS[] = {1, 32, 32, 24, 24, 64, 64}, INNER[] = {32, 17, 24, 24, 64, 40};

static uint32_t seed = 1;
static float noise(float size) {
    seed = seed * 1664525u + 1013904223u;
    return size * ((float)(seed >> 8) / (1 << 23) - 1);
}
static float *random_floats(long n, float size) {
    float *p = malloc(4 * n);
    for (long i = 0; i < n; i++) p[i] = noise(size);
    return p;
}
static double selu(double x) {
    return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (exp(x) - 1));
}
static double at(const double *x, int rows, long columns, int c, int r, long j) {
    return r < 0 || j < 0 || r >= rows || j >= columns ? 0 : x[((long)c * rows + r) * columns + j];
}
/* y (out, rows, columns) += a convolution of x (in, x_rows, columns), from row r - up on. */
static void convolve(const double *x, int in, int x_rows, long columns, const float *w, int high,
                     int up, double *y, int out, int rows) {
    for (int o = 0; o < out; o++)
        for (int r = 0; r < rows; r++)
            for (long j = 0; j < columns; j++)
                for (int i = 0; i < in; i++)
                    for (int k = 0; k < 3 * high; k++)
                        y[((long)o * rows + r) * columns + j] +=
                            w[(o * in + i) * 3 * high + k]
                            * at(x, x_rows, columns, i, r - up + k / 3, j - 1 + k % 3);
}
static double *filled(const float *bias, int channels, long n) {
    double *p = calloc(channels * n, sizeof *p);
    for (long i = 0; bias && i < channels * n; i++) p[i] = bias[i / n];
    return p;
}
static double *next(const weights *w, double *x, long columns) {
    double *h = filled(w->bias1, w->inner, 24 * columns);
    double *y = filled(w->bias2, w->out, N_ROWS * columns);
    convolve(x, w->in, N_ROWS, columns, w->conv1, 2, 1, h, w->inner, 24);
    for (long i = 0; i < w->inner * 24 * columns; i++) h[i] = selu(h[i]);
    convolve(h, w->inner, 24, columns, w->conv2, 2, 0, y, w->out, N_ROWS);
    if (w->down) convolve(x, w->in, N_ROWS, columns, w->down, 1, 0, y, w->out, N_ROWS);
    long rows = (long)w->out * N_ROWS, third = columns / 3;
    for (long i = 0; !w->down && i < rows * columns; i++) y[i] += x[i];
    double *pooled = filled(0, w->out, N_ROWS * third);
    for (long i = 0; i < rows * third; i++) {
        const double *p = y + i / third * columns + 3 * (i % third);
        pooled[i] = fmax(p[0], fmax(p[1], p[2]));
    }
    free(h), free(y), free(x);
    return pooled;
}
static double *image(const model *m, const float *wave, long samples) {
    long columns = (samples - 2 * HALF) / 3;
    double *y = filled(0, 1, N_ROWS * columns);
    for (long i = 0; i < N_ROWS * columns; i++) {
        for (int k = 0; k < 9; k++) {
            const float *f = m->filters + (i / columns * 3 + k / 3) * (2 * HALF + 1);
            double sum = 0;
            for (int t = 0; t <= 2 * HALF; t++) sum += (double)f[t] * wave[3 * (i % columns) + k % 3 + t];
            y[i] = fmax(y[i], fabs(sum));
        }
        y[i] = selu(y[i] * m->norm[0] + m->norm[1]);
    }
    return y;
}
static double difference(const kernel *k, const model *m, const float *wave, long samples) {
    void *network = k->prepare(m), *room = k->room(network, samples);
    long columns = (samples - 2 * HALF) / 3, size = 0;
    float *outputs[N_BLOCKS];
    for (int i = 0; i < N_BLOCKS; i++) outputs[i] = malloc(4 * WIDTHS[i + 1] * N_ROWS * columns);
    for (int turn = 0; turn < 2; turn++) k->encode(network, room, wave, samples, outputs);
    double *x = image(m, wave, samples), worst = 0;
    for (int i = 0; i < N_BLOCKS; i++, columns /= 3) {
        x = next(&m->blocks[i], x, columns);
        size = (long)WIDTHS[i + 1] * N_ROWS * (columns / 3);
        for (long j = 0; j < size; j++) worst = fmax(worst, fabs(x[j] - outputs[i][j]));
    }
    return worst;
}

int main(void) {
    float *filters = random_floats(N_BANDS * 129, .3f), norm[] = {.8f, -.2f};
    for (int i = 0; i < N_BANDS * 129; i++)
        if (i % 129 > HALF) filters[i] = filters[i / 129 * 129 + 2 * HALF - i % 129];
    model m = {filters, norm, {{0}}};
    for (int i = 0; i < N_BLOCKS; i++) {
        int in = WIDTHS[i], inner = INNER[i], out = WIDTHS[i + 1];
        float size = 1 / sqrtf(2.f * in), second = 1 / sqrtf(2.f * inner);
        m.blocks[i] = (weights){in, inner, out,
                                random_floats(6L * in * inner, size), random_floats(inner, .3f),
                                random_floats(6L * inner * out, second), random_floats(out, .3f),
                                in != out ? random_floats(3L * in * out, size) : 0};
    }
    double worst = 0;
    for (int i = 0; i < 3; i++) {
        float *wave = random_floats(LENGTHS[i], .5f);
#if defined __aarch64__
        worst = fmax(worst, difference(&kernel_128, &m, wave, LENGTHS[i]));
#else
        worst = fmax(worst, difference(&kernel_256, &m, wave, LENGTHS[i]));
        if (!getenv("WITHOUT_AVX512"))
            worst = fmax(worst, difference(&kernel_512, &m, wave, LENGTHS[i]));
#endif
    }
    printf("largest difference %.1e\n", worst);
    return !(worst <= 1e-4);
}
