/* ONNX Runtime's custom operator aasist.Encoder: a thin layer over the kernels.

Inputs: waves (B, samples); filters (69, 1, 129); norm (2); then of each of six blocks conv1, bias1,
conv2, bias2 and down, which may lack. Outputs: what the second block gives, the third and so on,
(B, channels, 23, columns), as far as anyone asks; the last always. The runtime's interface is a table of functions whose places never change;
the few that are called here are declared by their places. */
#include "kernel.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined __x86_64__
#include <cpuid.h>
#endif

#if defined _WIN32
#define EXPORTED __declspec(dllexport)
#else
#define EXPORTED __attribute__((visibility("default")))
#endif

typedef struct status status;
typedef void *const *table;
#define CALL(place, ...) ((status *(*)(__VA_ARGS__))api[place])
#define CREATE_STATUS(code, message) ((status *(*)(int, const char *))api[0])(code, message)
#define TRY(call) do { status *failure = (call); if (failure) return failure; } while (0)
#define CREATE_DOMAIN CALL(26, const char *, void **)
#define ADD_OPERATOR CALL(27, void *, const void *)
#define ADD_DOMAIN CALL(28, void *, void *)
#define DATA CALL(51, const void *, void *)
#define N_DIMENSIONS CALL(61, const void *, size_t *)
#define DIMENSIONS CALL(62, const void *, int64_t *, size_t)
#define SHAPE CALL(65, const void *, void **)
#define INPUT CALL(90, void *, size_t, const void **)
#define OUTPUT CALL(91, void *, size_t, const int64_t *, size_t, void **)
#define RELEASE_SHAPE(shape) ((void (*)(void *))api[99])(shape)

enum { FLOAT = 1, FAILED = 1, N_INPUTS = 3 + 5 * N_BLOCKS, REQUIRED = 0, OPTIONAL = 1 };
enum { WIDEST = 4096, SHORTEST = 2315, LONGEST = 1 << 24 };     /* channels; samples of a wave */

/* A room that waits for a wave. */
typedef struct waiting { struct waiting *next; void *room; long samples; } waiting;

typedef struct {
    table api;
    const kernel *kernel;       /* that of the session, whatever a later one is given */
    atomic_flag busy;
    void *network;              /* made at the first wave */
    int channels[N_BLOCKS];     /* of its blocks */
    waiting *rooms;
} state;

static const kernel *chosen;

static void enter(state *s) { while (atomic_flag_test_and_set(&s->busy)) {} }
static void leave(state *s) { atomic_flag_clear(&s->busy); }

/* The shape goes on with ones; it is all zeros for an input that lacks. */
static status *input(table api, void *context, size_t i, const float **data, int64_t shape[4]) {
    const void *value = 0;
    void *info;
    size_t n;
    TRY(INPUT(context, i, &value));
    *data = 0;
    memset(shape, 0, 4 * sizeof *shape);
    if (!value) return 0;
    for (int k = 0; k < 4; k++) shape[k] = 1;
    TRY(DATA(value, (void *)data));
    TRY(SHAPE(value, &info));
    status *failure = N_DIMENSIONS(info, &n);
    if (!failure && n > 4) failure = CREATE_STATUS(FAILED, "an input has too many dimensions");
    if (!failure) failure = DIMENSIONS(info, shape, n);
    RELEASE_SHAPE(info);
    return failure;
}

static int is(const int64_t shape[4], int64_t a, int64_t b, int64_t c, int64_t d) {
    return shape[0] == a && shape[1] == b && shape[2] == c && shape[3] == d;
}

/* The weights, each as large as kernel.h says: a file may hold others. */
static status *weights_of(table api, void *context, model *m) {
    int64_t shape[4], bias1[4], conv2[4], bias2[4], down[4];
    TRY(input(api, context, 1, &m->filters, shape));
    int fit = is(shape, N_BANDS, 1, 2 * HALF + 1, 1);
    TRY(input(api, context, 2, &m->norm, shape));
    fit &= is(shape, 2, 1, 1, 1);
    for (int i = 0; i < N_BLOCKS; i++) {
        weights *w = &m->blocks[i];
        TRY(input(api, context, 3 + 5 * i, &w->conv1, shape));
        TRY(input(api, context, 4 + 5 * i, &w->bias1, bias1));
        TRY(input(api, context, 5 + 5 * i, &w->conv2, conv2));
        TRY(input(api, context, 6 + 5 * i, &w->bias2, bias2));
        TRY(input(api, context, 7 + 5 * i, &w->down, down));
        int64_t in = shape[1], inner = shape[0], out = conv2[0];
        fit &= in == (i ? m->blocks[i - 1].out : 1) && (i == 0) == (in == 1)
            && inner > 0 && inner <= WIDEST && out > 1 && out <= WIDEST
            && is(shape, inner, in, 2, 3) && is(bias1, inner, 1, 1, 1)
            && is(conv2, out, inner, 2, 3) && is(bias2, out, 1, 1, 1)
            && (w->down ? is(down, out, in, 1, 3) : in == out);
        if (!fit) return CREATE_STATUS(FAILED, "the encoder's weights do not fit together");
        w->in = (int)in, w->inner = (int)inner, w->out = (int)out;
    }
    return 0;
}

static status *prepared(state *s, void *context) {
    table api = s->api;
    model m;
    enter(s);
    status *failure = s->network ? 0 : weights_of(api, context, &m);
    if (!failure && !s->network) {
        for (int i = 0; i < N_BLOCKS; i++) s->channels[i] = m.blocks[i].out;
        if (!(s->network = s->kernel->prepare(&m)))
            failure = CREATE_STATUS(FAILED, "bad allocation of the encoder's weights");
    }
    leave(s);
    return failure;
}

/* A room for waves of so many samples, and no other thread's; null where memory lacks. */
static waiting *take(state *s, long samples) {
    enter(s);
    waiting **place = &s->rooms;
    while (*place && (*place)->samples != samples) place = &(*place)->next;
    waiting *found = *place;
    if (found) *place = found->next;
    leave(s);
    if (found || !(found = malloc(sizeof *found))) return found;
    *found = (waiting){0, s->kernel->room(s->network, samples), samples};
    if (found->room) return found;
    free(found);
    return 0;
}

static void give_back(state *s, waiting *w) {
    enter(s);
    w->next = s->rooms;
    s->rooms = w;
    leave(s);
}

static status *outputs_of(table api, void *context, int64_t waves, int64_t samples,
                          const int channels[N_BLOCKS], float *outputs[N_BLOCKS]) {
    int64_t shape[4] = {waves, 0, N_ROWS, (samples - 2 * HALF) / 3};
    for (int i = 0; i < N_BLOCKS; i++) {
        void *value = 0;
        shape[1] = channels[i];
        shape[3] /= 3;
        outputs[i] = 0;
        if (i) TRY(OUTPUT(context, i - 1, shape, 4, &value));
        if (value) TRY(DATA(value, (void **)&outputs[i]));
    }
    return 0;
}

static status *compute(void *kernel_, void *context) {
    state *s = kernel_;
    table api = s->api;
    const float *waves;
    float *outputs[N_BLOCKS];
    int64_t shape[4];
    TRY(prepared(s, context));
    TRY(input(api, context, 0, &waves, shape));
    if (shape[1] < SHORTEST || shape[1] > LONGEST || !is(shape, shape[0], shape[1], 1, 1))
        return CREATE_STATUS(FAILED, "the encoder takes no waves of this length");
    TRY(outputs_of(api, context, shape[0], shape[1], s->channels, outputs));
    waiting *w = take(s, (long)shape[1]);
    if (!w) return CREATE_STATUS(FAILED, "bad allocation of the encoder's memory");
    for (int64_t n = 0; n < shape[0]; n++) {
        s->kernel->encode(s->network, w->room, waves + n * shape[1], (long)shape[1], outputs);
        int64_t columns = (shape[1] - 2 * HALF) / 3;
        for (int i = 0; i < N_BLOCKS; i++) {
            columns /= 3;
            if (outputs[i]) outputs[i] += s->channels[i] * N_ROWS * columns;
        }
    }
    give_back(s, w);
    return 0;
}

static status *create(const void *op, table api, const void *info, void **kernel_) {
    state *s = calloc(1, sizeof *s);
    if (!s) return CREATE_STATUS(FAILED, "bad allocation of the encoder");
    s->api = api;
    s->kernel = chosen;
    *kernel_ = s;
    return 0;
}

static void destroy(void *kernel_) {
    state *s = kernel_;
    while (s->rooms) {
        waiting *w = s->rooms;
        s->rooms = w->next;
        free(w->room);
        free(w);
    }
    free(s->network);
    free(s);
}

static const char *name(const void *op) { return "Encoder"; }
static const char *provider(const void *op) { return 0; }
static int type(const void *op, size_t i) { return FLOAT; }
static size_t n_inputs(const void *op) { return N_INPUTS; }
static size_t n_outputs(const void *op) { return N_BLOCKS - 1; }
static int input_kind(const void *op, size_t i) { return i >= 3 && i % 5 == 2 ? OPTIONAL : REQUIRED; }
static int output_kind(const void *op, size_t i) { return i + 2 < N_BLOCKS ? OPTIONAL : REQUIRED; }
static int memory(const void *op, size_t i) { return 0; }
static int one(const void *op) { return 1; }

/* OrtCustomOp of interface 16: later runtimes read no further. */
static const struct {
    uint32_t version;
    void *create_1;
    const char *(*name)(const void *), *(*provider)(const void *);
    int (*input_type)(const void *, size_t);
    size_t (*n_inputs)(const void *);
    int (*output_type)(const void *, size_t);
    size_t (*n_outputs)(const void *);
    void *compute_1;
    void (*destroy)(void *);
    int (*input_kind)(const void *, size_t), (*output_kind)(const void *, size_t);
    int (*input_memory)(const void *, size_t);
    int (*arity[4])(const void *);
    status *(*create)(const void *, table, const void *, void **);
    status *(*compute)(void *, void *);
} OPERATOR = {16, 0, name, provider, type, n_inputs, type, n_outputs, 0, destroy, input_kind,
              output_kind, memory, {one, one, one, one}, create, compute};

/* The kernel for this processor, or null: then the runtime runs the operator's plain definition.
   AASIST_NATIVE=none asks for that too, and AASIST_NATIVE=avx2 for no more than AVX2. */
static const kernel *choose(void) {
    const char *wish = getenv("AASIST_NATIVE");
    if (wish && !strcmp(wish, "none")) return 0;
#if defined __aarch64__
    return &kernel_128;
#else
    unsigned a, b, c, d, saved, high;
    const unsigned FMA = 1u << 12, XSAVE = 1u << 27, AVX2 = 1u << 5, AVX512 = 3u << 16 | 3u << 30;
    if (!__get_cpuid(1, &a, &b, &c, &d) || ~c & (FMA | XSAVE)) return 0;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));   /* what the system saves of a thread */
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || ~b & AVX2 || ~saved & 0x06) return 0;
    if (~b & AVX512 || ~saved & 0xe6 || (wish && !strcmp(wish, "avx2"))) return &kernel_256;
    return &kernel_512;
#endif
}

typedef struct { const void *const *(*get_api)(uint32_t version); const char *(*version)(void); } base;

EXPORTED status *RegisterCustomOps(void *options, const base *runtime) {
    table api = (table)runtime->get_api(16);
    void *domain;
    chosen = choose();
    if (!chosen) return 0;
    TRY(CREATE_DOMAIN("aasist", &domain));
    TRY(ADD_OPERATOR(domain, &OPERATOR));
    return ADD_DOMAIN(options, domain);
}
