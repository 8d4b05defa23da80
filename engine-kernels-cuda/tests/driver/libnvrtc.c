// Stands for NVRTC in tests: what it makes is the name of the architecture. Each compilation adds a byte to the file FAKE_COMPILATIONS.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Program {
    char architecture[32];
    const char* log;
};

const char* nvrtcGetErrorString(int error) { return error == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR"; }
int nvrtcVersion(int* major, int* minor) {
    const char* version = getenv("FAKE_NVRTC");
    *major = version ? atoi(version) : 12;
    *minor = 8;
    return 0;
}
int nvrtcGetNumSupportedArchs(int* count) {
    *count = 3;
    return 0;
}
int nvrtcGetSupportedArchs(int* architectures) {
    memcpy(architectures, (int[]){75, 80, 90}, 3 * sizeof(int));
    return 0;
}
int nvrtcCreateProgram(struct Program** program, const char* source, const char* name, int count, const char* const* texts,
                       const char* const* names) {
    (void)name, (void)texts;
    *program = calloc(1, sizeof(struct Program));
    (*program)->log = "";
    return strstr(source, "#include \"") && count > 0 && names ? 0 : 1;
}
int nvrtcDestroyProgram(struct Program** program) {
    free(*program);
    return 0;
}
int nvrtcCompileProgram(struct Program* program, int count, const char* const* options) {
    for (int i = 0; i < count; ++i) sscanf(options[i], "--gpu-architecture=%31s", program->architecture);
    FILE* file = fopen(getenv("FAKE_COMPILATIONS"), "a");
    fputc('.', file);
    fclose(file);
    if (getenv("FAKE_MISTAKE")) program->log = "kernels.cu(1): error: a mistake\n";
    return getenv("FAKE_MISTAKE") ? 6 : 0;
}
int nvrtcGetProgramLogSize(struct Program* program, size_t* bytes) {
    *bytes = strlen(program->log) + 1;
    return 0;
}
int nvrtcGetProgramLog(struct Program* program, char* to) {
    strcpy(to, program->log);
    return 0;
}
int nvrtcGetCUBINSize(struct Program* program, size_t* bytes) {
    *bytes = strlen(program->architecture) + 1;
    return strncmp(program->architecture, "sm_", 3) != 0;
}
int nvrtcGetCUBIN(struct Program* program, char* to) {
    strcpy(to, program->architecture);
    return 0;
}
int nvrtcGetPTXSize(struct Program* program, size_t* bytes) {
    *bytes = strlen(program->architecture) + 1;
    return 0;
}
int nvrtcGetPTX(struct Program* program, char* to) {
    strcpy(to, program->architecture);
    return 0;
}
