/* The word that somebody probably meant: for "unknown key 'tennant', did you
 * mean 'tenant'?".
 */
#ifndef NEAREST_H
#define NEAREST_H

#include <stddef.h>

/* Keeps the best of the names it is shown; init with { .word = word }. */
struct nearest {
	const char *word;	/* what was written */
	const char *name;	/* the nearest name so far, or NULL */
	size_t distance;
};

/* Look at one more name: it is kept by reference if nearer than the others
 * and near enough to be a slip of the fingers: a letter too much, too few,
 * wrong, or in its neighbour's place, in a third of its letters at the most. */
void	nearest_try(struct nearest *, const char *name);

#endif
