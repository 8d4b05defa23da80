// Stands for the NVIDIA driver in tests: enough of it to open a device, hold memory in that of the host, and run or capture launches.
// A kernel does one thing, whatever its name: to = 31 * to + value, for the `to` and `value` that its argument struct begins with; so
// the order of launches shows. What the real driver refuses is refused: calls without a current context, and calls that must not be
// made while launches are captured. The environment says what is wrong with the machine.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INVALID_VALUE = 1, OUT_OF_MEMORY = 2, STUB = 34, NO_DEVICE = 100, INVALID_IMAGE = 200, INVALID_CONTEXT = 201 };
enum { NOT_FOUND = 500, CAPTURE_UNSUPPORTED = 900 };
enum { RELAXED = 2 };

struct Args {
    uint32_t* to;
    uint32_t value;
};
struct Stream {
    int captured;
};
struct Event {
    int captured;
};
struct Graph {
    int launches;
    struct Args args[64];
};

static int live = 0;
static __thread void* current = NULL;
static __thread int capture_mode = 1;
static char context;
static struct Graph* capture = NULL;
static struct Stream* streams[64];
static char functions[256][64];
static int function_count = 0;
static size_t used = 0;

static int number(const char* name, int otherwise) {
    const char* text = getenv(name);
    return text ? atoi(text) : otherwise;
}

// Objects that were made and not destroyed.
int fake_live(void) { return live; }

#define NEEDS_CONTEXT \
    if (current != &context) return INVALID_CONTEXT
#define NOT_WHILE_CAPTURING \
    if (capture && capture_mode != RELAXED) return CAPTURE_UNSUPPORTED

int cuDriverGetVersion(int* version) {
    *version = number("FAKE_VERSION", 12040);
    return 0;
}
int cuInit(unsigned flags) {
    (void)flags;
    return number("FAKE_INIT", 0);
}
int cuGetErrorString(int error, const char** text) {
    *text = error == CAPTURE_UNSUPPORTED ? "operation not permitted when stream is capturing" : "some error";
    return 0;
}
int cuDeviceGetCount(int* count) {
    *count = number("FAKE_DEVICES", 2);
    return 0;
}
int cuDeviceGet(int* device, int index) {
    *device = index;
    return index < number("FAKE_DEVICES", 2) ? 0 : INVALID_VALUE;
}
int cuDeviceGetName(char* name, int size, int device) {
    snprintf(name, size, "Fake GPU %d", device);
    return 0;
}
int cuDeviceTotalMem_v2(size_t* bytes, int device) {
    (void)device;
    *bytes = 1 << 20;
    return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int device) {
    (void)device;
    int capability = number("FAKE_CAPABILITY", 90);
    *value = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : attribute == 16 ? 132 : attribute == 97 ? 232448 : -1;
    return *value < 0 ? INVALID_VALUE : 0;
}
int cuDevicePrimaryCtxRetain(void** made, int device) {
    (void)device;
    *made = &context;
    ++live;
    return 0;
}
int cuDevicePrimaryCtxRelease_v2(int device) {
    (void)device;
    --live;
    return 0;
}
int cuCtxSetCurrent(void* to) {
    current = to;
    return 0;
}
int cuModuleLoadData(void** module, const void* image) {
    NEEDS_CONTEXT;
    if (strncmp(image, "sm_", 3) != 0 && strncmp(image, "compute_", 8) != 0) return INVALID_IMAGE;
    *module = &functions;
    ++live;
    return 0;
}
int cuModuleUnload(void* module) {
    NEEDS_CONTEXT;
    --live;
    return module == &functions ? 0 : INVALID_VALUE;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
    NEEDS_CONTEXT;
    (void)module;
    const char* missing = getenv("FAKE_MISSING_KERNEL");
    if (missing && strcmp(missing, name) == 0) return NOT_FOUND;
    *function = strncpy(functions[function_count++ % 256], name, 63);
    return 0;
}
int cuFuncGetAttribute(int* value, int attribute, void* function) {
    NEEDS_CONTEXT;
    (void)function;
    *value = attribute == 0 ? 256 : attribute == 1 ? 1024 : -1;
    return *value < 0 ? INVALID_VALUE : 0;
}
int cuFuncSetAttribute(void* function, int attribute, int value) {
    NEEDS_CONTEXT;
    (void)function;
    return attribute == 8 && value == 232448 - 1024 ? 0 : INVALID_VALUE;
}
int cuMemGetInfo_v2(size_t* free, size_t* total) {
    NEEDS_CONTEXT;
    *total = 1 << 20;
    *free = *total - used;
    return 0;
}
int cuMemAlloc_v2(uint64_t* memory, size_t bytes) {
    NEEDS_CONTEXT;
    NOT_WHILE_CAPTURING;
    if (bytes == 0 || bytes % 256 != 0) return INVALID_VALUE;
    if (used + bytes > 1 << 20) return OUT_OF_MEMORY;
    size_t* made = aligned_alloc(256, bytes + 256);
    *made = bytes;
    used += bytes;
    *memory = (uint64_t)made + 256;
    ++live;
    return 0;
}
int cuMemFree_v2(uint64_t memory) {
    NEEDS_CONTEXT;
    NOT_WHILE_CAPTURING;
    size_t* made = (size_t*)(memory - 256);
    used -= *made;
    free(made);
    --live;
    return 0;
}
int cuMemHostAlloc(void** memory, size_t bytes, unsigned flags) {
    NEEDS_CONTEXT;
    NOT_WHILE_CAPTURING;
    *memory = malloc(bytes);
    ++live;
    return flags == 3 ? 0 : INVALID_VALUE;
}
int cuMemFreeHost(void* memory) {
    NEEDS_CONTEXT;
    free(memory);
    --live;
    return 0;
}
int cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, struct Stream* stream) {
    NEEDS_CONTEXT;
    if (stream->captured) return CAPTURE_UNSUPPORTED;
    memcpy((void*)to, from, bytes);
    return 0;
}
int cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, struct Stream* stream) {
    NEEDS_CONTEXT;
    if (stream->captured) return CAPTURE_UNSUPPORTED;
    memcpy(to, (void*)from, bytes);
    return 0;
}
int cuStreamCreate(struct Stream** stream, unsigned flags) {
    NEEDS_CONTEXT;
    NOT_WHILE_CAPTURING;
    *stream = calloc(1, sizeof(struct Stream));
    for (int i = 0; i < 64; ++i) {
        if (streams[i] == NULL) {
            streams[i] = *stream;
            break;
        }
    }
    ++live;
    return flags == 1 ? 0 : INVALID_VALUE;
}
int cuStreamDestroy_v2(struct Stream* stream) {
    NEEDS_CONTEXT;
    for (int i = 0; i < 64; ++i) {
        if (streams[i] == stream) streams[i] = NULL;
    }
    free(stream);
    --live;
    return 0;
}
int cuStreamSynchronize(struct Stream* stream) {
    NEEDS_CONTEXT;
    return stream->captured ? CAPTURE_UNSUPPORTED : 0;
}
int cuStreamWaitEvent(struct Stream* stream, struct Event* event, unsigned flags) {
    NEEDS_CONTEXT;
    (void)flags;
    if (event->captured) stream->captured = 1;
    return 0;
}
int cuThreadExchangeStreamCaptureMode(int* mode) {
    int before = capture_mode;
    capture_mode = *mode;
    *mode = before;
    return 0;
}
int cuStreamBeginCapture_v2(struct Stream* stream, int mode) {
    NEEDS_CONTEXT;
    if (capture || mode != 1) return INVALID_VALUE;
    capture = calloc(1, sizeof(struct Graph));
    stream->captured = 1;
    return 0;
}
int cuStreamEndCapture(struct Stream* stream, struct Graph** graph) {
    NEEDS_CONTEXT;
    if (!capture || !stream->captured) return INVALID_VALUE;
    *graph = capture;
    capture = NULL;
    for (int i = 0; i < 64; ++i) {
        if (streams[i]) streams[i]->captured = 0;
    }
    ++live;
    return 0;
}
int cuEventCreate(struct Event** event, unsigned flags) {
    NEEDS_CONTEXT;
    *event = calloc(1, sizeof(struct Event));
    ++live;
    return flags == 2 ? 0 : INVALID_VALUE;
}
int cuEventRecord(struct Event* event, struct Stream* stream) {
    NEEDS_CONTEXT;
    event->captured = stream->captured;
    return 0;
}
int cuEventDestroy_v2(struct Event* event) {
    NEEDS_CONTEXT;
    free(event);
    --live;
    return 0;
}
int cuGraphInstantiateWithFlags(struct Graph** executable, struct Graph* graph, unsigned long long flags) {
    NEEDS_CONTEXT;
    if (flags != 0) return INVALID_VALUE;
    *executable = malloc(sizeof(struct Graph));
    **executable = *graph;
    ++live;
    return 0;
}
int cuGraphDestroy(struct Graph* graph) {
    free(graph);
    --live;
    return 0;
}
int cuGraphExecDestroy(struct Graph* executable) {
    NEEDS_CONTEXT;
    return cuGraphDestroy(executable);
}
static void run(const struct Args* args) { *args->to = 31 * *args->to + args->value; }
#ifndef WITHOUT_GRAPHS
int cuGraphLaunch(struct Graph* executable, struct Stream* stream) {
    NEEDS_CONTEXT;
    if (stream->captured) return CAPTURE_UNSUPPORTED;
    for (int i = 0; i < executable->launches; ++i) run(&executable->args[i]);
    return 0;
}
#endif
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   struct Stream* stream, void** parameters, void** extra) {
    NEEDS_CONTEXT;
    if (!function || x * y * z == 0 || bx * by * bz == 0 || shared > 232448 || extra) return INVALID_VALUE;
    struct Args args;
    memcpy(&args, parameters[0], sizeof(args));
    if (stream->captured) {
        capture->args[capture->launches++ % 64] = args;
    } else {
        run(&args);
    }
    return 0;
}
