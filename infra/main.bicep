// All of Azure that the app needs, in one resource group. docs/deploy.md tells how to use it, docs/resources.md what it makes.

targetScope = 'subscription'

@minLength(1)
@maxLength(60)
@description('Name of the environment of azd: a part of the resource group\'s name, and of what all other names are made from')
param environmentName string

@minLength(1)
@metadata({ azd: { type: 'location' } })
@description('Region of everything; it has to offer Flex Consumption')
param location string

@maxLength(8)
@description('A part of the function app\'s name: another one makes another app over the same data')
param appNameSuffix string = ''

@description('Version of Python in Azure')
param pythonVersion '3.11' | '3.12' | '3.13' | '3.14' = '3.13'

@description('Memory of an instance; 2,048 MB come with one core')
param instanceMemoryMB 512 | 2048 | 4096 = 2048

@minValue(1)
@maxValue(1000)
@description('Most instances at once. Microsoft Graph throttles by app and tenant, so more than a few do not make it faster')
param maximumInstanceCount int = 10

@minValue(0)
@description('Instances for HTTP that never go away: a webhook is answered at once, not after a cold start')
param alwaysReadyHttp int = 0

@minValue(0)
@description('Instances for run_sync that never go away: a run begins within seconds, not up to two minutes later')
param alwaysReadyRuns int = 0

@description('Tables in an account of their own, apart from what the host keeps. Decide before the first deployment: tables are not moved')
param separateDataAccount bool = false

@description('The account with the tables as the last deployment had it; empty: the first deployment')
param formerDataAccount string = ''

@description('Copies of storage')
param storageRedundancy 'Standard_LRS' | 'Standard_ZRS' | 'Standard_GRS' | 'Standard_GZRS' = 'Standard_LRS'

@description('Storage and vault are reached from a network of the app\'s own only')
param privateNetworking bool = false

@description('Client id of the registration that guards the API; empty: sign-in is off, and every call is answered with 401')
param apiClientId string = ''

@description('Client ids, with commas between, of further programs that may call the API with an app role')
param apiCallerClientIds string = ''

@description('What App Service does with a call without a token: leaves it to the app, which checks every call, or refuses it')
param unauthenticatedAction 'AllowAnonymous' | 'Return401' = 'AllowAnonymous'

@description('When the timer looks which connections are due')
param syncSchedule string = '0 */5 * * * *'

@description('App settings that have a default in the code, by name; an empty one is not set')
param optionalSettings { *: string } = {}

@description('Mail address that alerts are sent to; empty: they are seen in the portal only')
param alertEmail string = ''

@minValue(1)
@description('Gigabytes of logs a day; what comes above is dropped until the next day')
param logDailyQuotaGb int = 1

@description('Hosts of the cloud that this is deployed to; they are never given, but for the tests')
param cloud { name: string, storageSuffix: string, vaultSuffix: string, loginUrl: string } = {
  name: environment().name
  storageSuffix: environment().suffixes.storage
  vaultSuffix: environment().suffixes.keyvaultDns
  loginUrl: environment().authentication.loginEndpoint
}

// What the code itself names: written by `python -m tests.infra`, and compared with the code by the tests.
var code = loadJsonContent('app/from_code.json')

var tags = { 'azd-env-name': environmentName }
var token = toLower(uniqueString(subscription().id, environmentName, location))
var appName = empty(appNameSuffix) ? 'func-${token}' : 'func-${token}-${toLower(appNameSuffix)}'
var hostAccountName = 'st${token}'
var chosenDataAccount = separateDataAccount ? 'stdata${token}' : hostAccountName
// The app would begin anew with empty tables, and applications would find nobody in them.
var dataAccountName = empty(formerDataAccount) || formerDataAccount == chosenDataAccount
  ? chosenDataAccount
  : fail('The tables are in ${formerDataAccount}, and would be in ${chosenDataAccount} with this region and these choices: they are not moved. Put back what was changed, or make another environment (azd env new). docs/deploy.md')
var identityName = 'id-${token}'
var vaultName = 'kv-${token}'
var packageContainer = 'app-package'

// learn.microsoft.com/azure/role-based-access-control/built-in-roles
var roles = {
  blobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  queueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  tableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  vaultSecretsOfficer: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
  metricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
}

var azureCliClientId = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
var otherCallers = filter(map(split(apiCallerClientIds, ','), one => trim(one)), one => !empty(one))

// Of an account's name the host makes addresses of the public cloud, and the name goes before addresses: FormatServiceUri in
// sdk/extensions/Microsoft.Azure.WebJobs.Extensions.Clients/src/Shared of github.com/Azure/azure-sdk-for-net.
var hostConnection = cloud.name == 'AzureCloud'
  ? { AzureWebJobsStorage__accountName: hostAccountName }
  : {
      AzureWebJobsStorage__blobServiceUri: 'https://${hostAccountName}.blob.${cloud.storageSuffix}'
      AzureWebJobsStorage__queueServiceUri: 'https://${hostAccountName}.queue.${cloud.storageSuffix}'
      AzureWebJobsStorage__tableServiceUri: 'https://${hostAccountName}.table.${cloud.storageSuffix}'
    }

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'app/identity.bicep' = {
  scope: group
  params: {
    name: identityName
    location: location
    tags: tags
  }
}

module monitoring 'app/monitoring.bicep' = {
  scope: group
  params: {
    workspaceName: 'log-${token}'
    insightsName: 'appi-${token}'
    actionGroupName: 'ag-${token}'
    location: location
    tags: tags
    dailyQuotaGb: logDailyQuotaGb
    alertEmail: alertEmail
    role: roles.metricsPublisher
    identityName: identityName
  }
  dependsOn: [identity]
}

// What the host needs: locks, schedules, keys and the package in blobs, the queues, its diagnostics in a table of its own.
module hostAccount 'app/storage.bicep' = {
  scope: group
  params: {
    name: hostAccountName
    location: location
    tags: tags
    redundancy: storageRedundancy
    containers: [packageContainer]
    queues: code.queues
    tables: separateDataAccount ? [] : code.tables
    // To give a message back after a failure is an update, which the narrower roles for queues do not allow:
    // github.com/MicrosoftDocs/azure-docs/issues/120932
    roles: [roles.blobDataOwner, roles.queueDataContributor, roles.tableDataContributor]
    identityName: identityName
    isPrivate: privateNetworking
  }
  dependsOn: [identity]
}

module dataAccount 'app/storage.bicep' = if (separateDataAccount) {
  scope: group
  params: {
    name: dataAccountName
    location: location
    tags: tags
    redundancy: storageRedundancy
    containers: []
    queues: []
    tables: code.tables
    roles: [roles.tableDataContributor]
    identityName: identityName
    isPrivate: privateNetworking
  }
  dependsOn: [identity]
}

module vault 'app/vault.bicep' = {
  scope: group
  params: {
    name: vaultName
    location: location
    tags: tags
    role: roles.vaultSecretsOfficer
    identityName: identityName
    isPrivate: privateNetworking
    workspaceId: monitoring.outputs.workspaceId
  }
  dependsOn: [identity]
}

module network 'app/network.bicep' = if (privateNetworking) {
  scope: group
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
    storageSuffix: cloud.storageSuffix
    vaultSuffix: cloud.vaultSuffix
    endpoints: concat(
      [
        { name: 'pe-blob-${token}', target: hostAccountName, groupId: 'blob' }
        { name: 'pe-queue-${token}', target: hostAccountName, groupId: 'queue' }
        { name: 'pe-table-${token}', target: hostAccountName, groupId: 'table' }
        { name: 'pe-vault-${token}', target: vaultName, groupId: 'vault' }
      ],
      separateDataAccount ? [{ name: 'pe-data-${token}', target: dataAccountName, groupId: 'table' }] : []
    )
  }
  dependsOn: [hostAccount, dataAccount, vault]
}

// After the roles, so that the host starts with them, and after the network, so that it finds its storage.
module app 'app/function.bicep' = {
  scope: group
  params: {
    planName: 'plan-${appName}'
    appName: appName
    location: location
    tags: tags
    serviceName: 'app'
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    packageContainerUrl: 'https://${hostAccountName}.blob.${cloud.storageSuffix}/${packageContainer}'
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: filter(
      [
        { name: 'http', instanceCount: alwaysReadyHttp }
        { name: 'function:run_sync', instanceCount: alwaysReadyRuns }
      ],
      one => one.instanceCount > 0
    )
    subnetId: privateNetworking ? network!.outputs.appSubnetId : ''
    appSettings: union(
      toObject(filter(items(optionalSettings), one => !empty(one.value)), one => one.key, one => one.value),
      hostConnection,
      {
        // Each connection names the identity and its client id as well: half a connection deploys, and never wakes the app.
        // github.com/Azure/azure-functions-host/issues/10904
        AzureWebJobsStorage__credential: 'managedidentity'
        AzureWebJobsStorage__clientId: identity.outputs.clientId
        SYNC_TABLES__tableServiceUri: 'https://${dataAccountName}.table.${cloud.storageSuffix}'
        SYNC_TABLES__credential: 'managedidentity'
        SYNC_TABLES__clientId: identity.outputs.clientId
        KEY_VAULT_URL: 'https://${vaultName}${cloud.vaultSuffix}'
        SYNC_SCHEDULE: syncSchedule
        AZURE_CLIENT_ID: identity.outputs.clientId
        ADMIN_TENANT_IDS: tenant().tenantId
        APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.connectionString
        APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.outputs.clientId};Authorization=AAD'
      },
      empty(apiClientId) ? {} : { ADMIN_API_SCOPE: 'api://${apiClientId}/user_impersonation' }
    )
    loginUrl: cloud.loginUrl
    apiClientId: apiClientId
    unauthenticatedAction: unauthenticatedAction
    allowedApplications: concat([azureCliClientId, apiClientId], otherCallers)
    excludedPaths: code.excludedPaths
  }
  dependsOn: [hostAccount, dataAccount, vault]
}

// Alerts (app/alerts.bicep) and the workbook (app/workbook.bicep) go here, over the outputs of `monitoring` and `appName`.

output AZURE_RESOURCE_GROUP string = group.name
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_FUNCTION_APP_NAME string = appName
output AZURE_FUNCTION_APP_URL string = app.outputs.url
output AZURE_IDENTITY_NAME string = identityName
output AZURE_IDENTITY_CLIENT_ID string = identity.outputs.clientId
output AZURE_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output AZURE_KEY_VAULT_NAME string = vaultName
output AZURE_HOST_STORAGE_ACCOUNT string = hostAccountName
output AZURE_DATA_STORAGE_ACCOUNT string = dataAccountName
output AZURE_TABLES_URL string = 'https://${dataAccountName}.table.${cloud.storageSuffix}'
output AZURE_LOG_WORKSPACE_NAME string = 'log-${token}'
