/* What the processor can do at most: additions and multiplications a second in registers, and bytes read from memory.
 *
 *     cc -O3 -march=native -pthread peak.c -o peak && ./peak 2
 *
 * Prints one JSON object: GOP/s of all threads together for int8 (u8 x s8 into s32), bf16 and f32, 0 where this file
 * knows no instruction of the processor for it, and GB/s of reading. The best of several tries counts.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { CHAINS = 16, ROUNDS = 8000000, TRIES = 5, MAX_THREADS = 64 };
static const size_t n_bytes = (size_t)400 << 20;
static char *memory;
static int n_threads;
static volatile float sink;

static void keep(const void *sum) {
    float first;
    memcpy(&first, sum, sizeof first);
    sink = sink + first;
}

/* Defines a function that keeps CHAINS sums going, each step of each one instruction. */
#define LOOP(name, sums, values, zero, step)                  \
    static void name(void) {                                  \
        sums c[CHAINS];                                       \
        values a = {0}, b = {0};                              \
        for (int i = 0; i < CHAINS; i++) c[i] = zero;         \
        for (long r = 0; r < ROUNDS; r++) {                   \
            for (int i = 0; i < CHAINS; i++) c[i] = step;     \
            __asm__ volatile("" : "+" REGISTER(a), "+" REGISTER(b)); \
        }                                                     \
        for (int i = 0; i < CHAINS; i++) keep(&c[i]);         \
    }

#if defined(__x86_64__)
#define REGISTER(x) "x"(x)
#else
#define REGISTER(x) "w"(x)
#endif

#if defined(__AVX512F__)
#undef REGISTER
#define REGISTER(x) "v"(x)
LOOP(f32, __m512, __m512, _mm512_setzero_ps(), _mm512_fmadd_ps(a, b, c[i]))
#define F32 (2.0 * 16)
#elif defined(__FMA__)
LOOP(f32, __m256, __m256, _mm256_setzero_ps(), _mm256_fmadd_ps(a, b, c[i]))
#define F32 (2.0 * 8)
#elif defined(__aarch64__)
LOOP(f32, float32x4_t, float32x4_t, vdupq_n_f32(0), vfmaq_f32(c[i], a, b))
#define F32 (2.0 * 4)
#else
static void f32(void) {}
#define F32 0.0
#endif

#if defined(__AVX512VNNI__)
LOOP(int8, __m512i, __m512i, _mm512_setzero_si512(), _mm512_dpbusd_epi32(c[i], a, b))
#define INT8 (2.0 * 64)
#elif defined(__AVXVNNI__)
LOOP(int8, __m256i, __m256i, _mm256_setzero_si256(), _mm256_dpbusd_avx_epi32(c[i], a, b))
#define INT8 (2.0 * 32)
#elif defined(__ARM_FEATURE_DOTPROD)
LOOP(int8, int32x4_t, int8x16_t, vdupq_n_s32(0), vdotq_s32(c[i], a, b))
#define INT8 (2.0 * 16)
#else
static void int8(void) {}
#define INT8 0.0
#endif

#if defined(__AVX512BF16__)
typedef __m512i bf16_values;
LOOP(bf16, __m512, bf16_values, _mm512_setzero_ps(), _mm512_dpbf16_ps(c[i], (__m512bh)a, (__m512bh)b))
#define BF16 (2.0 * 32)
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
LOOP(bf16, float32x4_t, bfloat16x8_t, vdupq_n_f32(0), vbfdotq_f32(c[i], a, b))
#define BF16 (2.0 * 8)
#else
static void bf16(void) {}
#define BF16 0.0
#endif

#if defined(__AMX_INT8__) && defined(__AMX_BF16__)
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Matrix registers: 16 rows of 64 bytes, four sums of two by two. */
static int tiles_allowed(void) { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }

static void set_tiles(void) {
    struct {
        uint8_t palette, start, none[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int i = 0; i < 8; i++) shape.row_bytes[i] = 64, shape.rows[i] = 16;
    __asm__ volatile("" : : "r"(&shape) : "memory"); /* all of it is read */
    _tile_loadconfig(&shape);
}

#define TILES(name, multiply)                              \
    static void name(void) {                               \
        set_tiles();                                       \
        _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3); \
        _tile_zero(4); _tile_zero(5); _tile_zero(6); _tile_zero(7); \
        for (long r = 0; r < TILE_ROUNDS; r++) {           \
            multiply(0, 4, 6);                             \
            multiply(1, 4, 7);                             \
            multiply(2, 5, 6);                             \
            multiply(3, 5, 7);                             \
        }                                                  \
        _tile_release();                                   \
    }
enum { TILE_ROUNDS = 2000000 };
TILES(int8_tiles, _tile_dpbusd)
TILES(bf16_tiles, _tile_dpbf16ps)
#define TILE_OPERATIONS (2.0 * 4 * 16 * 16 * 64 * TILE_ROUNDS)
#endif

static void read_part(size_t part) {
    const size_t n = n_bytes / sizeof(long) / n_threads;
    const long *at = (const long *)memory + part * n;
    long sums[32] = {0};
    for (size_t i = 0; i + 32 <= n; i += 32)
        for (int k = 0; k < 32; k++) sums[k] += at[i + k];
    for (int k = 0; k < 32; k++) sink = sink + sums[k];
}

typedef struct {
    void (*work)(void);
    size_t part;
} task;

static void *start(void *pointer) {
    const task *mine = pointer;
    if (mine->work) mine->work();
    else read_part(mine->part);
    return NULL;
}

/* Seconds of `work` in all threads at once, or of reading the memory, each thread its part; the best try. */
static double seconds(void (*work)(void)) {
    double best = 1e9;
    for (int attempt = 0; attempt < TRIES; attempt++) {
        pthread_t threads[MAX_THREADS];
        task tasks[MAX_THREADS];
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int i = 0; i < n_threads; i++) {
            tasks[i] = (task){work, i};
            if (pthread_create(&threads[i], NULL, start, &tasks[i])) exit(1);
        }
        for (int i = 0; i < n_threads; i++) pthread_join(threads[i], NULL);
        clock_gettime(CLOCK_MONOTONIC, &b);
        const double took = b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) * 1e-9;
        if (took < best) best = took;
    }
    return best;
}

static double gops(void (*work)(void), double operations) {
    if (operations == 0.0) return 0.0;
    return operations * CHAINS * ROUNDS * n_threads / seconds(work) * 1e-9;
}

int main(int argc, char **argv) {
    n_threads = argc > 1 ? atoi(argv[1]) : 2;
    if (n_threads < 1 || n_threads > MAX_THREADS) return 1;
    memory = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    madvise(memory, n_bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < n_bytes; i += 64) memory[i] = 1;
    const double read = n_bytes / seconds(NULL) * 1e-9;
    double int8_gops = gops(int8, INT8), bf16_gops = gops(bf16, BF16);
#if defined(TILE_OPERATIONS)
    if (tiles_allowed()) {
        const double int8_of_tiles = TILE_OPERATIONS * n_threads / seconds(int8_tiles) * 1e-9;
        const double bf16_of_tiles = TILE_OPERATIONS / 2 * n_threads / seconds(bf16_tiles) * 1e-9;
        if (int8_of_tiles > int8_gops) int8_gops = int8_of_tiles;
        if (bf16_of_tiles > bf16_gops) bf16_gops = bf16_of_tiles;
    }
#endif
    printf("{\"int8_gops\": %.0f, \"bf16_gops\": %.0f, \"f32_gops\": %.0f, \"read_gb_s\": %.1f}\n", int8_gops,
           bf16_gops, gops(f32, F32), read);
    return 0;
}
