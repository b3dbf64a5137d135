/* SPDX-License-Identifier: ISC */
/*
 * Replays fuzz corpora through a harness without libFuzzer: each argument is a file or a folder of
 * files, and each file is handed to LLVMFuzzerTestOneInput once, as is. Built with the sanitizers,
 * so a finding ends the program; otherwise it says how many files went through.
 *
 * The bytes live in a heap block of exactly their size, so that reading one too many is seen.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay_file(const char *path, off_t size_bytes)
{
	FILE *f = fopen(path, "rb");
	if (f == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	size_t size = (size_t)size_bytes;
	uint8_t *data = malloc(size > 0 ? size : 1);
	if (data == NULL || fread(data, 1, size, f) != size) {
		fprintf(stderr, "%s: cannot be read\n", path);
		free(data);
		fclose(f);
		return false;
	}
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return true;
}

static bool replay(const char *path, unsigned *count)
{
	struct stat st;
	if (stat(path, &st) != 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	if (!S_ISDIR(st.st_mode)) {
		(*count)++;
		return replay_file(path, st.st_size);
	}
	DIR *dir = opendir(path);
	if (dir == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	bool ok = true;
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		char name[PATH_MAX];
		int n = snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (e->d_name[0] == '.' || n < 0 || (size_t)n >= sizeof(name))
			continue;
		ok = replay(name, count) && ok;
	}
	closedir(dir);
	return ok;
}

int main(int argc, char **argv)
{
	bool ok = true;
	unsigned count = 0;
	for (int i = 1; i < argc; i++)
		ok = replay(argv[i], &count) && ok;
	printf("%s: %u files\n", argv[0], count);
	return ok && count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
