/* Runs a fuzz target over files without a fuzzer: each file as it is, and cut
 * at every length up to CUT_MAX, since a parser's end is where it errs.
 *
 *	build/fuzz/address tests/fuzz/corpus/address
 */
#include <dirent.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"

#define FILE_MAX (16u * 1024 * 1024)
#define CUT_MAX 300u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly that size, so that a sanitizer sees a read past it. */
static void
run_one(const char *bytes, size_t size)
{
	uint8_t *copy = xmalloc(size);

	if (size > 0)
		memcpy(copy, bytes, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static size_t
run_file(const char *path)
{
	struct buf text;
	struct error error;
	size_t runs = 1;

	buf_init(&text, FILE_MAX);
	if (file_read(path, &text, &error) == -1)
		errx(1, "%s", error.text);
	run_one(text.data, text.len);
	for (size_t cut = 0; cut < text.len && cut < CUT_MAX; cut++, runs++)
		run_one(text.data, cut);
	buf_release(&text);
	return runs;
}

static size_t
run_path(const char *path)
{
	const struct dirent *entry;
	struct stat status;
	size_t runs = 0;
	DIR *folder;

	if (stat(path, &status) == -1)
		err(1, "%s", path);
	if (!S_ISDIR(status.st_mode))
		return run_file(path);
	if ((folder = opendir(path)) == NULL)
		err(1, "%s", path);
	while ((entry = readdir(folder)) != NULL) {
		char *file;

		if (entry->d_name[0] == '.')
			continue;
		file = xasprintf("%s/%s", path, entry->d_name);
		runs += run_file(file);
		free(file);
	}
	closedir(folder);
	return runs;
}

int
main(int argc, char **argv)
{
	size_t runs = 0;

	for (int i = 1; i < argc; i++)
		runs += run_path(argv[i]);
	if (runs == 0)
		errx(1, "no input");
	printf("ok - %s, %zu inputs\n", argv[0], runs);
	return 0;
}
