/** Labels and annotations that commands look at. */

/** Set by istiod-lite on pods whose traffic is captured. Source: istio/api annotations.yaml. */
export const REDIRECTION_ANNOTATION = "ambient.istio.io/redirection";
/** Enrols namespaces and pods. Source: istio/api labels.yaml. */
export const DATAPLANE_MODE_LABEL = "istio.io/dataplane-mode";
