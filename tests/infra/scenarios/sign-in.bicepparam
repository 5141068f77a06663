// Administrators sign in; App Service itself refuses who has no token; whoever watches is told; a second app over the same data.
using '../../../infra/main.bicep'

param environmentName = 'test'
param location = 'westeurope'
param cloud = {
  name: 'AzureCloud'
  storageSuffix: 'core.windows.net'
  vaultSuffix: '.vault.azure.net'
  loginUrl: 'https://login.microsoftonline.com/'
}
param apiClientId = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'
param apiCallerClientIds = 'bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee, cccccccc-bbbb-cccc-dddd-eeeeeeeeeeee'
param unauthenticatedAction = 'Return401'
param alertEmail = 'operations@contoso.com'
param logDailyQuotaGb = 5
param appNameSuffix = 'b'
param optionalSettings = { HISTORY_DAYS: '90', PUBLIC_BASE_URL: '' }
