// Another cloud, whose hosts have other names.
using '../../../infra/main.bicep'

param environmentName = 'test'
param location = 'westeurope'
param cloud = {
  name: 'AzureUSGovernment'
  storageSuffix: 'core.usgovcloudapi.net'
  vaultSuffix: '.vault.usgovcloudapi.net'
  loginUrl: 'https://login.microsoftonline.us/'
}
param privateNetworking = true
param apiClientId = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'
