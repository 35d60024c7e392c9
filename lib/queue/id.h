/* Names of messages, as they stand in the log, in mailq and in file names:
 * the time of arrival in microseconds, then who sent it. So names sort by
 * time, and what a user has in the queue can be counted without reading it.
 * Two of one user in one microsecond differ by chance alone; who makes a file
 * of that name finds out, and takes another.
 *
 * Letters and digits only, in the form of Postfix's long names, as readers of
 * its logs expect.
 */
#ifndef ID_H
#define ID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define ID_SIZE 17		/* 16 characters and the NUL */

/* 'salt' is random. */
void	id_make(char out[ID_SIZE], const struct timespec *now, uid_t,
	    uint32_t salt);
/* Is it such a name? */
bool	id_valid(const char *text);
/* What a valid name tells. */
time_t	id_time(const char *id);
uid_t	id_uid(const char *id);

#endif
