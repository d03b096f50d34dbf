/*
 * Feeds every file of one folder to a fuzz target: replay_corpus FOLDER. An empty or missing folder is a failure, because then nothing
 * was tested.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz_target.h"

enum { MOST = 1 << 20 };

static int
replay_file(const char *folder, const char *name)
{
    char path[1024];
    uint8_t *bytes = malloc(MOST);

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL || bytes == NULL) {
        perror(path);
        free(bytes);
        return 1;
    }
    size_t len = fread(bytes, 1, MOST, file);
    (void)fclose(file);
    uint8_t *exact = realloc(bytes, len > 0 ? len : 1);         /* so that the sanitizer sees a read behind the end */
    if (exact == NULL) {
        free(bytes);
        return 1;
    }
    (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    return 0;
}

int
main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    const struct dirent *entry;
    int files = 0, failed = 0;

    if (dir == NULL) {
        (void)fputs("usage: replay_corpus FOLDER\n", stderr);
        return 2;
    }
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.') {
            failed += replay_file(argv[1], entry->d_name);
            files++;
        }
    (void)closedir(dir);
    (void)printf("%d files\n", files);
    return files == 0 || failed > 0 ? 1 : 0;
}
