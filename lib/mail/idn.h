/* Domains with letters beyond ASCII as A-labels (IDNA 2008, RFC 5890): what
 * DNS and every mail server know, where SMTPUTF8 is known to few.
 *
 * The one door to libidn2, which is loaded when the first such domain comes
 * by and not before: few messages have one, and with its tables it is larger
 * than all the rest of sendmail.
 */
#ifndef IDN_H
#define IDN_H

/* "bücher.example" as "xn--bcher-kva.example", to be freed; ASCII labels stay
 * as they are. NULL where that is no name (mixed, forbidden, not UTF-8) or
 * the library is not there: it goes as it is then, by SMTPUTF8. */
char	*idn_to_ascii(const char *domain);

#endif
