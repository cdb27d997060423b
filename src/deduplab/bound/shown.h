/* What a function bears that is called from without; all others stay inside the library. */
#ifndef DEDUPLAB_SHOWN_H
#define DEDUPLAB_SHOWN_H

#if defined(_WIN32)
#define SHOWN __declspec(dllexport)
#else
#define SHOWN __attribute__((visibility("default")))
#endif

#endif
