/*
 * An LPM that admits flows up to a rate: RATE_LIMIT in the environment, in bytes/s, or 125000. The API of lpmapi.h has no
 * place for a configuration.
 */
#include <stdlib.h>

#include <winsock2.h>
#include <windows.h>

#include <lpmapi.h>

static float most;

ULONG WINAPI LPM_Initialize(LPM_HANDLE handle, LPM_INIT_INFO *info, DWORD *version, PETYPE *type, VOID *reserved) {
    (void)handle, (void)info, (void)reserved;
    const char *limit = getenv("RATE_LIMIT");
    char *end = NULL;
    most = limit ? strtof(limit, &end) : 125000;
    if (limit && (end == limit || *end || !(most >= 0)))
        return 1;
    *version = LPM_API_VERSION_1;
    *type = LPM_PE_ALL_TYPES;
    return LPM_OK;
}

/* Finishes before it returns: the library is unloaded then. */
ULONG WINAPI LPM_Deinitialize(LPM_HANDLE handle) {
    (void)handle;
    return LPM_OK;
}

/* The rate that a flow asks for; negative where that is not said in a form that is understood here. */
static float rate_of(MSG_TYPE type, FLOW_DESC *flow) {
    if (type == RSVP_PATH || type == RSVP_PATH_ERR) {
        SENDER_TSPEC *tspec = flow->FdSenderTspec;
        if (tspec && tspec->stspec_body.tspec_u.gen_stspec.gen_Tspec_serv_hdr.issh_service == GENERAL_INFO)
            return tspec->stspec_body.tspec_u.gen_stspec.gtspec_r;
        return -1;
    }
    IS_FLOWSPEC *spec = flow->FdIsFlowSpec;
    if (!spec)
        return -1;
    switch (spec->flow_body.spec_u.CL_spec.CL_spec_serv_hdr.issh_service) {
    case CONTROLLED_LOAD_SERV: return spec->flow_body.spec_u.CL_spec.CLspec_r;
    case GUARANTEED_SERV: return spec->flow_body.spec_u.G_spec.Gspec_R;
    default: return -1;
    }
}

ULONG WINAPI LPM_AdmitRsvpMsg(RHANDLE request, RSVP_HOP *received, RSVP_MSG_OBJS *objects, int length, UCHAR *message,
                              ULONG *flags, POLICY_DECISION *decisions, void *reserved) {
    (void)request, (void)received, (void)length, (void)message, (void)flags, (void)reserved;
    for (int index = 0; index < objects->FlowDescCount; index++) {
        POLICY_DECISION *decision = &decisions[index];
        float rate = rate_of(objects->RsvpMsgType, &objects->pFlowDescs[index]);
        decision->wPolicyErrCode = decision->wPolicyErrValue = 0;
        if (rate < 0) {
            decision->lpvResult = LPV_DONT_CARE;
        } else if (rate <= most) {
            decision->lpvResult = LPV_MIN_PRIORITY;
        } else {
            decision->lpvResult = LPV_REJECT;
            decision->wPolicyErrCode = RSVP_Err_POLICY;
            decision->wPolicyErrValue = POLICY_ERRV_GLOBAL_DEF_FLOW_RATE;
        }
    }
    return LPM_RESULT_READY;
}

ULONG WINAPI LPM_GetRsvpObjects(RHANDLE request, ULONG room, RSVP_HOP *sending, RSVP_MSG_OBJS *outgoing, int *count,
                                RsvpObjHdr ***objects, void *reserved) {
    (void)request, (void)room, (void)sending, (void)outgoing, (void)objects, (void)reserved;
    *count = 0;
    return LPM_RESULT_READY;
}

VOID WINAPI LPM_CommitResv(RSVP_SESSION *session, RSVP_HOP *installed, RESV_STYLE *style, int count,
                           FILTER_SPEC **filters, IS_FLOWSPEC *merged, ULONG done) {
    (void)session, (void)installed, (void)style, (void)count, (void)filters, (void)merged, (void)done;
}

VOID WINAPI LPM_DeleteState(RSVP_HOP *received, MSG_TYPE type, RSVP_SESSION *session, RSVP_HOP *hop, RESV_STYLE *style,
                            int count, FILTER_SPEC **filters, int reason) {
    (void)received, (void)type, (void)session, (void)hop, (void)style, (void)count, (void)filters, (void)reason;
}

WINBOOL WINAPI LPM_IpAddressTable(ULONG count, LPMIPTABLE *rows) {
    (void)count, (void)rows;
    return TRUE;
}
