/* Files, read whole and replaced whole, and locks.
 *
 * What Outpost keeps is small files that several processes read and one
 * replaces: file_replace() writes beside, fsyncs, renames and fsyncs the
 * folder, so a reader or a crash sees the old file or the new one, never half.
 * Locks are flock(2) on a file of their own, which the kernel drops with the
 * process that holds them. All descriptors are close-on-exec.
 */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

struct buf;
struct error;

/* Append the whole of a regular file to 'out', or nothing. A file larger than
 * out's maximum is an error (EX_CONFIG), as is anything but a regular file;
 * it is opened without waiting (a FIFO does not hang us).
 * Where it is not there, and then alone, errno is ENOENT afterwards and the
 * error EX_CONFIG. */
int	file_read(const char *path, struct buf *out, struct error *);

/* The same for a file that all may read; any other is refused (EX_CONFIG), so
 * that nobody has one read that is none of his business. */
int	file_read_public(const char *path, struct buf *out, struct error *);

/* The same for a file that holds a secret: refused (EX_CONFIG, with a hint)
 * unless it belongs to this process's user or root and only its owner or, with
 * 'group_may_read', its group may read it. A link is followed, since
 * /run/secrets is made of links; what it leads to is what is checked. */
int	file_read_secret(const char *path, bool group_may_read,
	    struct buf *out, struct error *);

/* Replace 'path' by 'len' bytes, atomically and durably, with this mode
 * whatever the umask. EX_CANTCREAT or EX_IOERR. */
int	file_replace(const char *path, const void *bytes, size_t len,
	    mode_t mode, struct error *);
/* The same with this time of modification, which is there from the first. */
int	file_replace_dated(const char *path, const void *bytes, size_t len,
	    mode_t mode, time_t modified, struct error *);
/* Remove what a file_replace() of 'path' that was killed left beside it: a name
 * that ends in '.' and six letters or digits with a capital among them, which
 * files of ours have not. For who holds the lock on it. */
void	file_sweep(const char *path);
/* The same and the file itself; fine where there is none. EX_IOERR. */
int	file_remove(const char *path, struct error *);
/* Make what happened to the names in a folder durable; -1 with errno. */
int	file_sync_folder(const char *folder);

/* Make a folder and its missing parents (those 0755), with this mode whatever
 * the umask; a folder that is there already is fine and left as it is. */
int	file_make_folder(const char *path, mode_t mode, struct error *);

/* Wait until 'deadline' (CLOCK_MONOTONIC seconds, see file_now()) for an
 * exclusive lock on 'path', made 0600 when missing. Returns a descriptor that
 * holds the lock until it is closed, or -1: EX_TEMPFAIL when somebody else
 * held it until then, EX_CANTCREAT when it cannot be opened. */
int	file_lock(const char *path, double deadline, struct error *);
/* CLOCK_MONOTONIC in seconds. */
double	file_now(void);

/* All of it, through short writes and EINTR; -1 with errno. */
int	file_write_all(int fd, const void *bytes, size_t len);
/* The same to a reader who may not read: a full pipe, a stopped terminal, which
 * others share and must not find non-blocking. -1 with errno: ETIMEDOUT where
 * not all was taken within so many seconds. Uses SIGUSR1 meanwhile. */
int	file_write_within(int fd, const void *bytes, size_t len,
	    double seconds);
/* Like read(2), through EINTR. */
ssize_t	file_read_some(int fd, void *bytes, size_t size);

#endif
