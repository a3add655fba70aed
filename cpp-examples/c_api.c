/* The same in C: the labels of a text, every status checked. */
#include <ernie.h>
#include <stdio.h>
#include <string.h>

static int report(ernie_status *status) {
    fprintf(stderr, "error %d: %s\n", (int)ernie_status_code(status), ernie_status_message(status));
    ernie_status_free(status);
    return 1;
}

static int classify(const ernie_model *model, const char *text) {
    ernie_input input = {{NULL, 0}, {NULL, 0}};
    ernie_result *result = NULL;
    const ernie_item *items = NULL;
    size_t n_items = 0;
    ernie_status *status;

    input.text.data = text;
    input.text.len = strlen(text);
    status = ernie_infer(model, &input, 1, NULL, &result);
    if (status == NULL) {
        status = ernie_result_items(result, 0, &items, &n_items);
    }
    for (size_t i = 0; status == NULL && i < n_items; ++i) {
        printf("%s %.3f\n", items[i].text.data, (double)items[i].score);
    }
    ernie_result_free(result);
    return status == NULL ? 0 : report(status);
}

int main(int argc, char **argv) {
    ernie_model *model = NULL;
    ernie_status *status = ernie_model_open(argc > 1 ? argv[1] : "models/demo", NULL, &model);
    int code;

    if (status != NULL) {
        return report(status);
    }
    code = classify(model, argc > 2 ? argv[2] : "房间很干净");
    ernie_model_free(model);
    return code;
}
