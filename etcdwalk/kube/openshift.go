package kube

import (
	"strings"
)

// OpenShift's groups end alike.
const (
	openshiftGroups = ".openshift.io"

	osApps     = "apps" + openshiftGroups
	osAuth     = "authorization" + openshiftGroups
	osBuild    = "build" + openshiftGroups
	osImage    = "image" + openshiftGroups
	osNetwork  = "network" + openshiftGroups
	osOAuth    = "oauth" + openshiftGroups
	osQuota    = "quota" + openshiftGroups
	osRoute    = "route" + openshiftGroups
	osSecurity = "security" + openshiftGroups
	osTemplate = "template" + openshiftGroups
	osUser     = "user" + openshiftGroups

	sccPath = "securitycontextconstraints"
)

// openshift is all that OpenShift's own API servers store, and what those of 3.x
// stored, in the columns of [table]. The path is the one under /openshift.io/
// (openshift/openshift-apiserver: pkg/cmd/openshift-apiserver/openshiftapiserver/
// openshiftcontrolplane_default.go; openshift/oauth-apiserver: pkg/cmd/oauth-apiserver/
// cmd.go). As a custom resource each kind may lie under its group, too, as any other
// does: newer servers have some of them so, MicroShift routes (openshift/microshift:
// assets/crd/route.crd.yaml).
//
// Paths and scopes are fixed by a test (openshift/origin:
// test/extended/etcd/etcd_storage_path.go); where one is not the plural, the
// specialDefaultResourcePrefixes of the two servers say so (etcd.go and cmd.go in the
// folders above). Short names are what ShortNames returns in
// openshift/openshift-apiserver: pkg/*/apiserver/registry/*/etcd/etcd.go.
var openshift = []Kind{
	{"deploymentconfigs", "DeploymentConfig", osApps, namespaced, "deploymentconfigs", "dc", ""},
	{"buildconfigs", "BuildConfig", osBuild, namespaced, "buildconfigs", "bc", ""},
	{"builds", "Build", osBuild, namespaced, "builds", "", ""},
	{"images", "Image", osImage, cluster, "images", "", ""},
	{"imagestreams", "ImageStream", osImage, namespaced, "imagestreams", "is", ""},
	{"routes", "Route", osRoute, namespaced, "routes", "", ""},
	{"rangeallocations", "RangeAllocation", osSecurity, cluster, "rangeallocations", "", ""},
	{"templates", "Template", osTemplate, namespaced, "templates", "", ""},
	{"templateinstances", "TemplateInstance", osTemplate, namespaced, "templateinstances", "", ""},
	{"brokertemplateinstances", "BrokerTemplateInstance", osTemplate, cluster, "brokertemplateinstances", "", ""},

	// In 4.x these are oauth-apiserver's, in the same places.
	{"oauthaccesstokens", "OAuthAccessToken", osOAuth, cluster, "oauth/accesstokens", "", ""},
	{"oauthauthorizetokens", "OAuthAuthorizeToken", osOAuth, cluster, "oauth/authorizetokens", "", ""},
	{"oauthclients", "OAuthClient", osOAuth, cluster, "oauth/clients", "", ""},
	{"oauthclientauthorizations", "OAuthClientAuthorization", osOAuth, cluster, "oauth/clientauthorizations", "", ""},
	{"groups", "Group", osUser, cluster, "groups", "", ""},
	{"identities", "Identity", osUser, cluster, "useridentities", "", ""},
	{"users", "User", osUser, cluster, "users", "", ""},

	// Custom resources in 4.x (openshift/api: quota, authorization and security, each
	// v1/zz_generated.crd-manifests), whose short names openshift-apiserver still has.
	{"clusterresourcequotas", "ClusterResourceQuota", osQuota, cluster, "clusterresourcequotas", "clusterquota", ""},
	{"rolebindingrestrictions", "RoleBindingRestriction", osAuth, namespaced, "rolebindingrestrictions", "", ""},
	// In older 3.x under /kubernetes.io/ (test/integration/etcd_storage_path_test.go of
	// origin). Its singular is not its Kind: GetSingularName beside ShortNames.
	{"securitycontextconstraints", "SecurityContextConstraints", osSecurity, cluster, sccPath, "scc securitycontextconstraint", ""},

	// Stored so by 3.x only.
	{"clusternetworks", "ClusterNetwork", osNetwork, cluster, "registry/sdnnetworks", "", ""},
	{"egressnetworkpolicies", "EgressNetworkPolicy", osNetwork, namespaced, "registry/egressnetworkpolicy", "", ""},
	{"hostsubnets", "HostSubnet", osNetwork, cluster, "registry/sdnsubnets", "", ""},
	{"netnamespaces", "NetNamespace", osNetwork, cluster, "registry/sdnnetnamespaces", "", ""},
	{"clusterpolicies", "ClusterPolicy", osAuth, cluster, "authorization/cluster/policies", "", ""},
	{"clusterpolicybindings", "ClusterPolicyBinding", osAuth, cluster, "authorization/cluster/policybindings", "", ""},
	{"policies", "Policy", osAuth, namespaced, "authorization/local/policies", "", ""},
	{"policybindings", "PolicyBinding", osAuth, namespaced, "authorization/local/policybindings", "", ""},
}

// unstored are kinds that OpenShift serves and makes of others, by their names, with
// the kind that is stored. They are only suggested: a word such as "projects" may be
// a custom resource's elsewhere (the kindWhiteList and the proxies in
// etcd_storage_path.go; REST storages without a Store in pkg/image and pkg/user).
var unstored = map[string]string{
	"project": namespace, "projects": namespace,
	"imagestreamtag": "imagestreams." + osImage, "imagestreamtags": "imagestreams." + osImage, "istag": "imagestreams." + osImage,
	"imagestreamimage": "imagestreams." + osImage, "imagestreamimages": "imagestreams." + osImage, "isimage": "imagestreams." + osImage,
	"imagetag": "imagestreams." + osImage, "imagetags": "imagestreams." + osImage, "itag": "imagestreams." + osImage,
	"imagesignature": "images." + osImage, "imagesignatures": "images." + osImage,
	"useridentitymapping": "identities." + osUser, "useridentitymappings": "identities." + osUser,
	"useroauthaccesstoken": "oauthaccesstokens." + osOAuth, "useroauthaccesstokens": "oauthaccesstokens." + osOAuth,
	"appliedclusterresourcequota": "clusterresourcequotas." + osQuota, "appliedclusterresourcequotas": "clusterresourcequotas." + osQuota,
}

// isOpenShift tells whether the kind is of the table above. A custom resource's path
// has a dot.
func (k *Kind) isOpenShift() bool {
	return strings.HasSuffix(k.Group, openshiftGroups) && !strings.Contains(k.path, ".")
}

// flatUnder tells whether OpenShift keeps the kind under this prefix, or has kept it
// there. Elsewhere its path means nothing: "users" may be anybody's.
func (k *Kind) flatUnder(prefix string) bool {
	return strings.HasSuffix(prefix, "/openshift.io/") || k.path == sccPath && strings.HasSuffix(prefix, "/kubernetes.io/")
}

// openshiftKind is the kind of OpenShift's that a term names, if it does.
func openshiftKind(t term) *Kind {
	for i := range openshift {
		if t.means(&openshift[i]) {
			return &openshift[i]
		}
	}
	return nil
}
