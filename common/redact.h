/*
 * A last line of defence: text that a person or a log gets to see loses what looks like a credential.
 *
 * The first line is not to put secrets into messages at all; this one is for text from elsewhere (a broker, a library).
 */
#ifndef HV_COMMON_REDACT_H
#define HV_COMMON_REDACT_H

/* In place: what follows SharedAccessKey=, SharedAccessSignature, sig=, AccountKey=, password=, client_secret=, client_assertion=,
 * access_token=, Bearer and Basic becomes "***". Never longer than before. */
void hv_redact(char *text);

#endif
