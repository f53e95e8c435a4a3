/* What of it `lpmapi.h` takes. */
#include "windows.h"
