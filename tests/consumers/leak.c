/* Leaks on purpose: a sanitizer that does not notice is not on. */
#include <stdlib.h>
#include <string.h>
int main(void) {
    char *volatile lost = malloc(100);
    memset(lost, 1, 100);
    lost = NULL;
    return lost != NULL;
}
