/*
 * The names of Windows that `lpmapi.h` takes, for an LPM that is built elsewhere from the same source:
 *
 *     cc -shared -fPIC -I include -idirafter /usr/share/mingw-w64/include -o libmine.so mine.c
 *
 * (Debian has `lpmapi.h` in the package mingw-w64-common.) On Windows, its own headers are used instead of this one.
 * ULONG has 32 bits everywhere. An IN_ADDR is in network order, and read as `s_addr` or as `S_un.S_addr`.
 * `DllMain` is not called: what has to be done first is done in LPM_Initialize.
 */
#ifndef LPM_WINDOWS_H
#define LPM_WINDOWS_H

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef void VOID, *PVOID, *LPVOID, *HANDLE, *HINSTANCE, *HMODULE;
typedef char CHAR;
typedef unsigned char UCHAR, BYTE, BOOLEAN;
typedef int16_t SHORT;
typedef uint16_t USHORT, WORD;
typedef int INT, BOOL, WINBOOL;
typedef unsigned int UINT;
typedef int32_t LONG;
typedef uint32_t ULONG, DWORD;
typedef uint64_t ULONGLONG;
typedef float FLOAT;
typedef size_t SIZE_T;
typedef ULONG *PULONG;
typedef DWORD *PDWORD;
typedef UCHAR *PUCHAR;

typedef union {
    ULONG s_addr;
    union {
        struct {
            UCHAR s_b1, s_b2, s_b3, s_b4;
        } S_un_b;
        struct {
            USHORT s_w1, s_w2;
        } S_un_w;
        ULONG S_addr;
    } S_un;
} IN_ADDR, *PIN_ADDR;

/* For an IN_ADDR as for a `struct in_addr`. */
#define inet_ntoa(address) inet_ntoa((struct in_addr){.s_addr = (address).s_addr})

#ifndef TRUE
#define TRUE 1
#define FALSE 0
#endif

#define IN
#define OUT
#define WINAPI
#define CALLBACK
#define APIENTRY
#define __stdcall
#define __cdecl
#define __declspec(what) LPM_DECLSPEC_##what
#define LPM_DECLSPEC_dllexport __attribute__((visibility("default")))
#define LPM_DECLSPEC_dllimport

#define DECLARE_HANDLE(name) typedef struct name##__ *name
#define UNREFERENCED_PARAMETER(parameter) ((void)(parameter))

#define DLL_PROCESS_DETACH 0
#define DLL_PROCESS_ATTACH 1
#define DLL_THREAD_ATTACH 2
#define DLL_THREAD_DETACH 3

#endif
