/* Azure Arc's proof that we may have this machine's token (MICROSOFT.md 4.8):
 * its endpoint answers a first request with the name of a file, and who can
 * read that file sends what it holds with a second one.
 *
 * Whoever listens at that port might name any file, so that only a regular
 * file of ARC_KEY_FOLDER itself, by a name that ends in .key, of no more than
 * ARC_KEY_MAX bytes, is read.
 *
 *	if (arc_challenge(name, header, &err) == -1 ||
 *	    arc_read_key(&key, ARC_KEY_FOLDER, name, &err) == -1) …
 *
 * Errors are EX_NOPERM, to be held.
 */
#ifndef ARC_H
#define ARC_H

struct buf;
struct error;

#define ARC_KEY_FOLDER		"/var/opt/azcmagent/tokens"
#define ARC_KEY_MAX		4096u	/* bytes */
#define ARC_KEY_NAME_SIZE	128u	/* of the file's name, with the NUL */

/* The name of the file, out of a WWW-Authenticate header. Pure. */
int	arc_challenge(char name[ARC_KEY_NAME_SIZE], const char *header,
	    struct error *);
/* Append what that file of the folder holds, without its line end. */
int	arc_read_key(struct buf *out, const char *folder, const char *name,
	    struct error *);

#endif
