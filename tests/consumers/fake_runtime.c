/* A library that says it is an ONNX Runtime too old to use. */
struct api_base {
    const void *(*get_api)(unsigned);
    const char *(*get_version_string)(void);
};
static const void *get_api(unsigned version) {
    (void)version;
    return 0;
}
static const char *get_version_string(void) { return "1.10.0"; }
const struct api_base *OrtGetApiBase(void);
const struct api_base *OrtGetApiBase(void) {
    static const struct api_base base = {get_api, get_version_string};
    return &base;
}
