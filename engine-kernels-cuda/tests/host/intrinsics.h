// The part of CUDA's device functions that the kernels use, or may.
#pragma once

#include <cmath>

#include "fibers.h"

#define __global__
#define __device__
#define __host__
#define __shared__ static thread_local
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;

#define HOST_VECTORS(type, name, bytes)                                                               \
    struct alignas(bytes * 2) name##2 { type x, y; };                                                 \
    struct alignas(bytes * 4) name##4 { type x, y, z, w; };                                           \
    static inline name##2 make_##name##2(type x, type y) { return {x, y}; }                           \
    static inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
HOST_VECTORS(unsigned char, uchar, 1)
HOST_VECTORS(unsigned short, ushort, 2)
HOST_VECTORS(int, int, 4)
HOST_VECTORS(unsigned int, uint, 4)
HOST_VECTORS(float, float, 4)
struct alignas(16) double2 { double x, y; };
static inline double2 make_double2(double x, double y) { return {x, y}; }
struct alignas(16) ulonglong2 { u64 x, y; };
static inline ulonglong2 make_ulonglong2(u64 x, u64 y) { return {x, y}; }
struct float3 { float x, y, z; };
static inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
static inline uint3 make_uint3(u32 x, u32 y, u32 z) { return {x, y, z}; }

// Bits.
template <class To, class From>
static inline To host_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "bits of types of one size");
    To to;
    memcpy(&to, &from, sizeof(To));
    return to;
}
static inline u32 __float_as_uint(float x) { return host_bits<u32>(x); }
static inline float __uint_as_float(u32 x) { return host_bits<float>(x); }
static inline int __float_as_int(float x) { return host_bits<int>(x); }
static inline float __int_as_float(int x) { return host_bits<float>(x); }
static inline long long __double_as_longlong(double x) { return host_bits<long long>(x); }
static inline double __longlong_as_double(long long x) { return host_bits<double>(x); }
static inline int __popc(u32 x) { return __builtin_popcount(x); }
static inline int __popcll(u64 x) { return __builtin_popcountll(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz((u32)x); }
static inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll((u64)x); }
static inline u32 __umulhi(u32 a, u32 b) { return (u32)(((u64)a * b) >> 32); }
static inline u64 __umul64hi(u64 a, u64 b) { return (u64)(((unsigned __int128)a * b) >> 64); }
static inline u32 __brev(u32 x) {
    x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(x);
}
static inline u32 __funnelshift_l(u32 low, u32 high, u32 by) { return (u32)((((u64)high << 32 | low) << (by & 31)) >> 32); }
static inline u32 __funnelshift_r(u32 low, u32 high, u32 by) { return (u32)(((u64)high << 32 | low) >> (by & 31)); }

// Arithmetic. The compiler is told not to contract products and sums, as the functions with _rn ask for.
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __frcp_rn(float a) { return 1.0f / a; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline float __fdividef(float a, float b) { return a / b; }
#define __expf expf
#define __logf logf
static inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline float __uint2float_rn(u32 x) { return (float)x; }
static inline float __int2float_rn(int x) { return (float)x; }
static inline float __double2float_rn(double x) { return (float)x; }
// Out of range these saturate on a device, and NaN becomes 0.
static inline u32 __float2uint_rn(float x) {
    if (!(x > 0.0f)) return 0;
    return x >= 4294967296.0f ? 0xffffffffu : (u32)rintf(x);
}
static inline u32 __float2uint_rz(float x) {
    if (!(x > 0.0f)) return 0;
    return x >= 4294967296.0f ? 0xffffffffu : (u32)x;
}
static inline int __float2int_rn(float x) {
    if (x != x) return 0;
    if (x >= 2147483648.0f) return 2147483647;
    return x < -2147483648.0f ? -2147483647 - 1 : (int)rintf(x);
}

#define HOST_MIN_MAX(type, a_type, b_type)                                                                \
    static inline type min(a_type a, b_type b) { return (type)a < (type)b ? (type)a : (type)b; }          \
    static inline type max(a_type a, b_type b) { return (type)a < (type)b ? (type)b : (type)a; }
HOST_MIN_MAX(int, int, int)
HOST_MIN_MAX(u32, u32, u32)
HOST_MIN_MAX(u32, int, u32)
HOST_MIN_MAX(u32, u32, int)
HOST_MIN_MAX(long long, long long, long long)
HOST_MIN_MAX(u64, u64, u64)
#undef HOST_MIN_MAX
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }

// Memory. One thread runs at a time, so that a plain access is atomic.
template <class T>
static inline T __ldg(const T* from) { return *from; }
template <class T>
static inline T __ldcs(const T* from) { return *from; }
template <class T>
static inline T __ldcg(const T* from) { return *from; }
template <class T>
static inline void __stcs(T* to, T value) { *to = value; }
template <class T>
static inline void __stcg(T* to, T value) { *to = value; }
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __threadfence_system() {}

#define HOST_ATOMIC(name, type, expression)             \
    static inline type name(type* at, type value) {     \
        type old = *at;                                 \
        *at = expression;                               \
        return old;                                     \
    }
#define HOST_ATOMICS(type)                                        \
    HOST_ATOMIC(atomicAdd, type, (type)(old + value))             \
    HOST_ATOMIC(atomicExch, type, value)                          \
    HOST_ATOMIC(atomicMax, type, old < value ? value : old)       \
    HOST_ATOMIC(atomicMin, type, value < old ? value : old)
#define HOST_BIT_ATOMICS(type)                                    \
    HOST_ATOMICS(type)                                            \
    HOST_ATOMIC(atomicSub, type, (type)(old - value))             \
    HOST_ATOMIC(atomicOr, type, old | value)                      \
    HOST_ATOMIC(atomicAnd, type, old & value)                     \
    HOST_ATOMIC(atomicXor, type, old ^ value)                     \
    static inline type atomicCAS(type* at, type compare, type value) { \
        type old = *at;                                           \
        if (old == compare) *at = value;                          \
        return old;                                               \
    }
HOST_BIT_ATOMICS(int)
HOST_BIT_ATOMICS(u32)
HOST_BIT_ATOMICS(u64)
HOST_ATOMIC(atomicAdd, float, old + value)
HOST_ATOMIC(atomicExch, float, value)
HOST_ATOMIC(atomicAdd, double, old + value)
#undef HOST_ATOMICS
#undef HOST_BIT_ATOMICS
#undef HOST_ATOMIC

// Threads that wait for each other. The last parameters are the place of the call.
#define HOST_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()
static inline void __syncthreads(HOST_SITE) { host::barrier(false, file, line); }
static inline int __syncthreads_count(int predicate, HOST_SITE) { return (int)host::barrier(predicate != 0, file, line); }
static inline int __syncthreads_or(int predicate, HOST_SITE) { return host::barrier(predicate != 0, file, line) != 0; }
static inline int __syncthreads_and(int predicate, HOST_SITE) { return host::barrier(predicate == 0, file, line) == 0; }
static inline void __syncwarp(u32 mask = 0xffffffffu, HOST_SITE) {
    host::collective(host::Collective::Sync, mask, 0, 0, file, line);
}
static inline u32 __ballot_sync(u32 mask, int predicate, HOST_SITE) {
    return (u32)host::collective(host::Collective::Ballot, mask, predicate != 0, 0, file, line);
}
static inline int __any_sync(u32 mask, int predicate, HOST_SITE) {
    return host::collective(host::Collective::Ballot, mask, predicate != 0, 0, file, line) != 0;
}
static inline int __all_sync(u32 mask, int predicate, HOST_SITE) {
    return host::collective(host::Collective::Ballot, mask, predicate == 0, 0, file, line) == 0;
}

template <class T>
static inline u64 host_widened(T value) {
    static_assert(sizeof(T) <= 8, "a value of a shuffle has at most 8 bytes");
    u64 wide = 0;
    memcpy(&wide, &value, sizeof(T));
    return wide;
}
template <class T>
static inline T host_shuffle(u32 mask, T value, u32 source, const char* file, int line) {
    u64 wide = host::collective(host::Collective::Shuffle, mask, host_widened(value), source, file, line);
    memcpy(&value, &wide, sizeof(T));
    return value;
}
template <class T>
static inline u32 __match_any_sync(u32 mask, T value, HOST_SITE) {
    return (u32)host::collective(host::Collective::Match, mask, host_widened(value), 0, file, line);
}
template <class T>
static inline T __shfl_sync(u32 mask, T value, int source, int width = 32, HOST_SITE) {
    u32 lane = host::state->current % 32, first = lane & ~(u32)(width - 1);
    return host_shuffle(mask, value, first + ((u32)source & (u32)(width - 1)), file, line);
}
template <class T>
static inline T __shfl_xor_sync(u32 mask, T value, int lanes, int width = 32, HOST_SITE) {
    u32 lane = host::state->current % 32, source = lane ^ (u32)lanes;
    // A lane of a later segment is not read; one of an earlier segment is.
    bool beyond = source >= (lane & ~(u32)(width - 1)) + (u32)width;
    return host_shuffle(mask, value, beyond ? lane : source, file, line);
}
template <class T>
static inline T __shfl_up_sync(u32 mask, T value, u32 by, int width = 32, HOST_SITE) {
    u32 lane = host::state->current % 32, first = lane & ~(u32)(width - 1);
    return host_shuffle(mask, value, lane >= first + by ? lane - by : lane, file, line);
}
template <class T>
static inline T __shfl_down_sync(u32 mask, T value, u32 by, int width = 32, HOST_SITE) {
    u32 lane = host::state->current % 32, last = (lane & ~(u32)(width - 1)) + (u32)width - 1;
    return host_shuffle(mask, value, lane + by <= last ? lane + by : lane, file, line);
}
#undef HOST_SITE

__attribute__((noreturn)) static inline void __trap() { host::fail("__trap"); }
