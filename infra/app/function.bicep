// The function app: its plan, its settings, and who may call it.

param planName string
param appName string
param location string
param tags { *: string }

@description('What azd finds the app by')
param serviceName string

param identityId string
param identityClientId string

@description('Address of the container that the package is deployed to')
param packageContainerUrl string

param pythonVersion string
param instanceMemoryMB int
param maximumInstanceCount int

@description('Instances that never go away: of all HTTP functions, and of the function that runs syncs')
param alwaysReady { name: string, instanceCount: int }[]

@description('Where connections to storage and vault leave the app; empty: over the internet')
param subnetId string

param appSettings { *: string }

@description('Where people of this cloud sign in, with a slash at the end')
param loginUrl string

@description('Client id of the registration that guards the API; empty: sign-in is off, and every call is answered with 401')
param apiClientId string

@description('What becomes of a request without a token')
param unauthenticatedAction 'AllowAnonymous' | 'Return401'

@description('Client ids of the programs whose tokens are taken')
param allowedApplications string[]

@description('With Return401: the paths of those who have no account here, and prove otherwise who they are')
param excludedPaths string[]

// With `clientSecretSettingName` it makes App Service sign in by the federated credential of the identity, so there is no secret.
// learn.microsoft.com/azure/app-service/configure-authentication-provider-aad
var assertionSetting = 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
var hasSignIn = !empty(apiClientId)

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: appName
  location: location
  tags: union(tags, { 'azd-service-name': serviceName })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    // Webhooks come from Microsoft Graph, so the app itself is always public.
    publicNetworkAccess: 'Enabled'
    clientCertEnabled: false
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      ftpsState: 'Disabled'
      remoteDebuggingEnabled: false
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainerUrl
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      runtime: { name: 'python', version: pythonVersion }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReady
      }
      // The other way is a preview. What is running when a new version comes is ended, and goes on in the next run.
      // learn.microsoft.com/azure/azure-functions/flex-consumption-site-updates
      #disable-next-line BCP037 // in the API since 2024-11-01, and not in its published types
      siteUpdateStrategy: { type: 'Recreate' }
    }
  }

  // Deployments sign in with Entra: no user name and password, neither for FTP nor for the package.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
    dependsOn: [ftp]
  }

  resource settings 'config' = {
    name: 'appsettings'
    properties: union(appSettings, hasSignIn ? { '${assertionSetting}': identityClientId } : {})
    dependsOn: [scm]
  }

  resource signIn 'config' = {
    name: 'authsettingsV2'
    properties: {
      platform: { enabled: hasSignIn }
      globalValidation: {
        // The app asks for a role on every route and answers with a remedy; the module's own 401 is empty.
        requireAuthentication: unauthenticatedAction == 'Return401'
        unauthenticatedClientAction: unauthenticatedAction
        excludedPaths: unauthenticatedAction == 'Return401' ? excludedPaths : []
      }
      httpSettings: { requireHttps: true }
      identityProviders: hasSignIn
        ? {
            azureActiveDirectory: {
              enabled: true
              registration: {
                clientId: apiClientId
                clientSecretSettingName: assertionSetting
                openIdIssuer: '${loginUrl}${tenant().tenantId}/v2.0'
              }
              validation: {
                allowedAudiences: ['api://${apiClientId}', apiClientId]
                defaultAuthorizationPolicy: { allowedApplications: allowedApplications }
              }
            }
          }
        : {}
      // Tokens are sent with each call, and nothing here is kept on a disk.
      login: { tokenStore: { enabled: false } }
    }
    dependsOn: [settings]
  }
}

output id string = site.id
output url string = 'https://${site.properties.defaultHostName}'
