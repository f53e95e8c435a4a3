// – · nothing in particular
static int count;
void act(void) { count++; }
void act_on_caller(void) { count++; }
