#include "base/nearest.h"

#define NAME_MAX_LEN 32u

static size_t
least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance, row by row, where two neighbours that changed places
 * count as one slip, too. */
static size_t
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][NAME_MAX_LEN + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2], *spare;

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		spare = before;
		before = above;
		above = row;
		row = spare;
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = least(above[j] + 1, row[j - 1] + 1,
			    above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
	}
	return row[b_len];
}

void
nearest_try(struct nearest *n, const char *name)
{
	size_t len = strlen(name), word_len = strlen(n->word), d;

	if (len > NAME_MAX_LEN || word_len > NAME_MAX_LEN)
		return;
	d = distance(n->word, word_len, name, len);
	if (d > len / 3 || (n->name != NULL && d >= n->distance))
		return;
	n->name = name;
	n->distance = d;
}
